package core

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// split takes a path apart. "/" has no names.
func split(path string) ([]string, *Result) {
	if !strings.HasPrefix(path, "/") || len(path) > MaxPath {
		return nil, fail(Invalid, "%.80q must begin with / and have at most %d bytes", path, MaxPath)
	}
	if path == "/" {
		return nil, nil
	}
	names := strings.Split(path[1:], "/")
	if len(names) > MaxDepth {
		return nil, fail(Invalid, "%.80q is more than %d directories deep", path, MaxDepth)
	}
	for _, n := range names {
		if n == "" || n == "." || n == ".." || len(n) > MaxName || strings.ContainsRune(n, 0) {
			return nil, fail(Invalid, "%.80q has a name that is empty, . or .., or longer than %d bytes", path, MaxName)
		}
	}
	return names, nil
}

// walk follows names from "/".
func (f *FS) walk(path string, names []string) (*inode, *Result) {
	n := f.get(rootID)
	for _, name := range names {
		if !n.Dir {
			return nil, fail(NotDir, "%s", path)
		}
		id, ok := f.dirs[n.ID][name]
		if !ok {
			return nil, fail(NoEnt, "%s", path)
		}
		n = f.get(id)
	}
	return n, nil
}

// lookup finds what a path names.
func (f *FS) lookup(path string) (*inode, *Result) {
	names, bad := split(path)
	if bad != nil {
		return nil, bad
	}
	return f.walk(path, names)
}

// parentOf finds the directory that a path's last name is in, whether that name is there or not.
func (f *FS) parentOf(path string) (dir *inode, name string, bad *Result) {
	names, bad := split(path)
	if bad != nil {
		return nil, "", bad
	}
	if len(names) == 0 {
		return nil, "", fail(Invalid, "/ is always there, and stays")
	}
	last := len(names) - 1
	if dir, bad = f.walk(path, names[:last]); bad != nil {
		return nil, "", bad
	}
	if !dir.Dir {
		return nil, "", fail(NotDir, "%s", path)
	}
	return dir, names[last], nil
}

func (f *FS) info(n *inode) *Info {
	i := &Info{
		ID: n.ID, Name: n.Name, Dir: n.Dir, Mode: n.Mode, Owner: n.Owner, Size: n.Size, MtimeMs: n.MtimeMs, CtimeMs: n.CtimeMs,
		Attrs: maps.Clone(n.Attrs), Blocks: slices.Clone(n.Blocks), Mount: f.mounts[n.ID],
	}
	if n.Dir {
		i.Entries = len(f.dirs[n.ID])
	}
	return i
}

// Stat says what a path names.
func (f *FS) Stat(path string) (*Info, error) {
	n, bad := f.lookup(path)
	if bad != nil {
		return nil, bad.Err()
	}
	return f.info(n), nil
}

// List lists up to limit entries of a directory whose names follow after, in order.
func (f *FS) List(path, after string, limit int) ([]*Info, error) {
	n, bad := f.lookup(path)
	if bad != nil {
		return nil, bad.Err()
	}
	if !n.Dir {
		return []*Info{f.info(n)}, nil
	}
	var names []string
	for name := range f.dirs[n.ID] {
		if name > after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	all := []*Info{}
	for _, name := range names[:min(limit, len(names))] {
		all = append(all, f.info(f.get(f.dirs[n.ID][name])))
	}
	return all, nil
}

// Workers are the registered workers, by number.
func (f *FS) Workers() []Worker {
	all := []Worker{}
	for _, w := range f.workers {
		all = append(all, *w)
	}
	slices.SortFunc(all, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Mounts are the mount points, by path.
func (f *FS) Mounts() map[string]string {
	all := make(map[string]string, len(f.mounts))
	for id, uri := range f.mounts {
		all[f.pathOf(id)] = uri
	}
	return all
}

func (f *FS) pathOf(id uint64) string {
	var names []string
	for n := f.get(id); n.ID != rootID; n = f.get(n.Parent) {
		names = append(names, n.Name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// Overdue are the workers that were last heard of before ms.
func (f *FS) Overdue(ms int64) []Worker {
	var late []Worker
	for _, w := range f.Workers() {
		if !w.Lost && w.SeenMs < ms {
			late = append(late, w)
		}
	}
	return late
}
