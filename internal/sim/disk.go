package sim

import (
	"errors"
	"math"
	"path"
	"strings"

	"gopherwood/internal/vfs"
)

// disk is a server's disk: a vfs.Mem, and the simulator's own account of which log files have bytes that are not durable. The account
// outlives processes: a process that is killed leaves its writes in the page cache.
type disk struct {
	vfs.FS
	mem    *vfs.Mem
	armed  bool // the power will be cut in the middle of something
	inodes map[string]*inode
}

// inode is a file whatever its name is. dirty: it has bytes that want a sync.
type inode struct{ dirty bool }

func newDisk(seed uint64, direct bool) *disk {
	m := vfs.NewMem(seed)
	m.SetDirect(direct)
	m.SetCapacity(1 << 40)
	return &disk{FS: m, mem: m, inodes: map[string]*inode{}}
}

// losePower leaves what a loss of power leaves.
func (d *disk) losePower(choose vfs.Chooser) {
	d.mem = d.mem.Crash(choose)
	d.FS, d.armed, d.inodes = d.mem, false, map[string]*inode{}
}

// cutPower lets the power go off in the step after next so many, and disarm makes it stay on.
func (d *disk) cutPower(steps int64) {
	d.armed = true
	d.mem.CutPower(steps)
}

func (d *disk) disarm() {
	if d.armed {
		d.armed = false
		d.mem.CutPower(math.MaxInt64 / 2)
	}
}

// off says whether the power was cut.
func (d *disk) off() bool {
	if !d.armed {
		return false
	}
	_, err := d.mem.Stat("power")
	return errors.Is(err, vfs.ErrPowerOff)
}

// clean says whether every byte of the log is durable.
func (d *disk) clean() bool {
	for name, n := range d.inodes { // any order
		if n.dirty && strings.HasSuffix(path.Base(name), ".log") {
			return false
		}
	}
	return true
}

func (d *disk) watch(name string, f vfs.File, direct bool, err error) (vfs.File, bool, error) {
	if err != nil {
		return f, direct, err
	}
	n := d.inodes[name]
	if n == nil {
		n = &inode{}
		d.inodes[name] = n
	}
	if direct {
		return f, true, nil
	}
	return &watchedFile{File: f, inode: n}, false, nil
}

// Create implements vfs.FS.
func (d *disk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	f, _, err = d.watch(name, f, false, err)
	return f, err
}

// Open implements vfs.FS.
func (d *disk) Open(name string) (vfs.File, error) {
	f, err := d.FS.Open(name)
	f, _, err = d.watch(name, f, false, err)
	return f, err
}

// OpenLog implements vfs.FS.
func (d *disk) OpenLog(name string, create bool) (vfs.File, bool, error) {
	f, direct, err := d.FS.OpenLog(name, create)
	return d.watch(name, f, direct, err)
}

// Remove implements vfs.FS.
func (d *disk) Remove(name string) error {
	err := d.FS.Remove(name)
	if err == nil {
		delete(d.inodes, name)
	}
	return err
}

// Rename implements vfs.FS.
func (d *disk) Rename(from, to string) error {
	err := d.FS.Rename(from, to)
	if n := d.inodes[from]; err == nil && n != nil {
		delete(d.inodes, from)
		d.inodes[to] = n
	}
	return err
}

// watchedFile notes which files want a sync.
type watchedFile struct {
	vfs.File
	inode *inode
}

func (f *watchedFile) Write(b []byte) (int, error) {
	f.inode.dirty = true
	return f.File.Write(b)
}

func (f *watchedFile) WriteAt(b []byte, off int64) (int, error) {
	f.inode.dirty = true
	return f.File.WriteAt(b, off)
}

func (f *watchedFile) Truncate(sizeBytes int64) error {
	f.inode.dirty = true
	return f.File.Truncate(sizeBytes)
}

func (f *watchedFile) Sync() error {
	err := f.File.Sync()
	if err == nil {
		f.inode.dirty = false
	}
	return err
}
