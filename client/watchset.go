package client

import (
	"maps"
	"slices"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// watchKind is the table of the server that a watch is in (ZKWatchManager has the same five).
type watchKind uint8

const (
	kindData watchKind = iota
	kindExist
	kindChild
	kindPersistent
	kindRecursive
	watchKinds
)

// watchSet is the client's live watches by kind and full path. It has no lock; Client.mu guards it.
// A path is in a map only with at least one watch, and no watch in the set is over.
type watchSet struct {
	byKind [watchKinds]map[string][]*Watch
}

func (s *watchSet) add(w *Watch, kind watchKind) {
	w.kind = kind
	if s.byKind[kind] == nil {
		s.byKind[kind] = make(map[string][]*Watch)
	}
	s.byKind[kind][w.fullPath] = append(s.byKind[kind][w.fullPath], w)
}

// register puts a watch where the answer to its request says: exists watches a node that is there for its data, one that is missing for
// its creation; the others leave a watch only on success.
func (s *watchSet) register(w *Watch, op zk.OpCode, code zk.Code) {
	switch {
	case op == zk.OpExists && code == zk.ErrNoNode:
		s.add(w, kindExist)
	case code != zk.OK:
	case op == zk.OpExists, op == zk.OpGetData:
		s.add(w, kindData)
	case op == zk.OpGetChildren2:
		s.add(w, kindChild)
	case op == zk.OpAddWatch:
		s.add(w, w.kind)
	}
}

func (s *watchSet) remove(w *Watch) {
	m := s.byKind[w.kind]
	list := slices.DeleteFunc(m[w.fullPath], func(x *Watch) bool { return x == w })
	if len(list) == 0 {
		delete(m, w.fullPath)
		return
	}
	m[w.fullPath] = list
}

// has says whether any watch is on exactly this path.
func (s *watchSet) has(fullPath string) bool {
	for _, m := range s.byKind {
		if len(m[fullPath]) > 0 {
			return true
		}
	}
	return false
}

// take empties one path of one kind.
func (s *watchSet) take(kind watchKind, fullPath string) []*Watch {
	list := s.byKind[kind][fullPath]
	delete(s.byKind[kind], fullPath)
	return list
}

func (s *watchSet) takeAll() []*Watch {
	var all []*Watch
	for kind, m := range s.byKind {
		for _, list := range m {
			all = append(all, list...)
		}
		s.byKind[kind] = nil
	}
	return all
}

// fire hands the event to those whom it concerns (ZKWatchManager.materialize). It returns the paths on which a persistent watch
// ended because it was full.
func (s *watchSet) fire(fullPath string, e Event) (ended []string) {
	var once []watchKind
	switch e.Type {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		once = []watchKind{kindData, kindExist}
	case zk.EventNodeDeleted:
		once = []watchKind{kindData, kindExist, kindChild}
	case zk.EventNodeChildrenChanged:
		once = []watchKind{kindChild}
	default: // a type that no request of this client brings about
		return nil
	}
	for _, kind := range once {
		for _, w := range s.take(kind, fullPath) {
			w.offerLocked(e)
		}
	}
	ended = s.offer(ended, kindPersistent, fullPath, e)
	if e.Type == zk.EventNodeChildrenChanged || len(s.byKind[kindRecursive]) == 0 {
		return ended
	}
	for p := fullPath; ; p = zk.Parent(p) {
		ended = s.offer(ended, kindRecursive, p, e)
		if p == zk.Root {
			return ended
		}
	}
}

// offer hands the event to the persistent watches of one kind on one path, and appends the path to ended for each that was full.
func (s *watchSet) offer(ended []string, kind watchKind, fullPath string, e Event) []string {
	for _, w := range slices.Clone(s.byKind[kind][fullPath]) {
		if !w.offerLocked(e) {
			s.remove(w)
			ended = append(ended, fullPath)
		}
	}
	return ended
}

// tellPersistent gives every persistent watch the event that says that others may have been missed. It returns as fire does.
func (s *watchSet) tellPersistent() (ended []string) {
	for _, kind := range []watchKind{kindPersistent, kindRecursive} {
		for _, fullPath := range s.paths(kind) {
			e := Event{Type: zk.EventNone, Path: s.byKind[kind][fullPath][0].path}
			ended = s.offer(ended, kind, fullPath, e)
		}
	}
	return ended
}

// end ends the watches of one path that a removeWatches request selects.
func (s *watchSet) end(fullPath string, t zk.WatcherType, err error) {
	for _, kind := range selected(t) {
		for _, w := range s.take(kind, fullPath) {
			w.endLocked(err)
		}
	}
}

// selected is the kinds that a watcher type means (DataTree.removeWatch).
func selected(t zk.WatcherType) []watchKind {
	switch t {
	case zk.WatcherChildren:
		return []watchKind{kindChild}
	case zk.WatcherData:
		return []watchKind{kindData, kindExist}
	case zk.WatcherPersistent:
		return []watchKind{kindPersistent}
	case zk.WatcherPersistentRecursive:
		return []watchKind{kindRecursive}
	case zk.WatcherAny:
		return []watchKind{kindData, kindExist, kindChild, kindPersistent, kindRecursive}
	}
	return nil
}

func (s *watchSet) paths(kind watchKind) []string {
	return slices.Sorted(maps.Keys(s.byKind[kind]))
}

// appendRearm appends the setWatches requests that arm all watches again, and says how many there are. Servers before 3.6 know
// only the older request, which is used as long as no watch is persistent.
func (s *watchSet) appendRearm(b []byte, zxid int64) ([]byte, int) {
	requests := 0
	var batch [watchKinds][]string
	size := 0
	flush := func() {
		if size > 0 {
			b = appendSetWatches(b, zxid, &batch)
			requests++
			batch, size = [watchKinds][]string{}, 0
		}
	}
	for kind := range watchKinds {
		for _, p := range s.paths(kind) {
			batch[kind] = append(batch[kind], p)
			if size += len(p) + 4; size >= setWatchesBytes {
				flush()
			}
		}
	}
	flush()
	return b, requests
}

func appendSetWatches(b []byte, zxid int64, batch *[watchKinds][]string) []byte {
	for kind := range batch {
		if batch[kind] == nil {
			batch[kind] = []string{} // a null vector is not what clients send
		}
	}
	req := wire.SetWatches2{
		SetWatches: wire.SetWatches{
			RelativeZxid: zxid,
			DataWatches:  batch[kindData],
			ExistWatches: batch[kindExist],
			ChildWatches: batch[kindChild],
		},
		PersistentWatches:          batch[kindPersistent],
		PersistentRecursiveWatches: batch[kindRecursive],
	}
	h := wire.RequestHeader{Xid: zk.XidSetWatches, Type: zk.OpSetWatches}
	persistent := len(req.PersistentWatches)+len(req.PersistentRecursiveWatches) > 0
	if persistent {
		h.Type = zk.OpSetWatches2
	}
	b, mark := wire.BeginFrame(b)
	b = h.Append(b)
	if persistent {
		b = req.Append(b)
	} else {
		b = req.SetWatches.Append(b)
	}
	_ = wire.EndFrame(b, mark) // setWatchesBytes and one path fit
	return b
}
