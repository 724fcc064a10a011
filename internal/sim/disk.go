package sim

import (
	"encoding/binary"
	"errors"
	"math"
	"syscall"

	"gopherwood/internal/vfs"
)

// disk is a server's disk: a vfs.Mem, and the simulator's own account of which log files have bytes that are not durable. The account
// outlives processes: a process that is killed leaves its writes in the page cache.
type disk struct {
	vfs.FS
	srv    *server
	mem    *vfs.Mem
	armed  bool // the power will be cut in the middle of something
	inodes map[string]*inode

	full            bool
	readErrorsUntil int64   // until then half of the reads fail
	syncError       bool    // the next sync of the log fails
	lie             diskLie // about the next write to the log
	troubled        bool    // the present process was given an error
}

// inode is a file whatever its name is. dirty: it has bytes that want a sync; batches: the writer has begun to write to it.
type inode struct {
	name           string
	dirty, batches bool
}

// diskLie is what becomes of a write that the disk says it has carried out.
type diskLie int

const (
	writeTrue diskLie = iota
	writeLost
	writeMisdirected
)

// errDisk is what a disk says that cannot read or write.
var errDisk = syscall.EIO

func newDisk(v *server) *disk {
	m := vfs.NewMem(v.diskRand.Uint64())
	m.SetDirect(v.sim.p.direct)
	m.SetCapacity(diskBytes)
	return &disk{FS: m, srv: v, mem: m, inodes: map[string]*inode{}}
}

// fill leaves that many bytes of space.
func (d *disk) fill(left int64) {
	d.full = true
	free, err := d.mem.Free(dataDir)
	if err != nil {
		d.srv.sim.fail("server %d: free space of the disk: %v", d.srv.id, err)
	}
	d.mem.SetCapacity(diskBytes - int64(free) + left)
}

func (d *disk) makeSpace() {
	d.full = false
	d.mem.SetCapacity(diskBytes)
}

// failing says whether the disk gives errors now or next.
func (d *disk) failing() bool { return d.syncError || d.srv.sim.now < d.readErrorsUntil }

// mayFail is an error of a read, now and then.
func (d *disk) mayFail() error {
	if d.srv.sim.now >= d.readErrorsUntil || d.srv.diskRand.chance(0.5) {
		return nil
	}
	d.troubled = true
	d.srv.sim.stats.ReadErrors++
	return errDisk
}

// losePower leaves what a loss of power leaves.
func (d *disk) losePower(choose vfs.Chooser) {
	d.mem = d.mem.Crash(choose)
	d.FS, d.armed, d.inodes = d.mem, false, map[string]*inode{}
	d.syncError, d.lie = false, writeTrue
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
		if n.dirty && isLog(name) {
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
		n = &inode{name: name}
		d.inodes[name] = n
	}
	return &watchedFile{File: f, disk: d, inode: n, direct: direct}, direct, nil
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
		n.name, n.batches = to, false
		d.inodes[to] = n
	}
	return err
}

// watchedFile notes which files want a sync, and is where the disk's faults happen.
type watchedFile struct {
	vfs.File
	disk   *disk
	inode  *inode
	direct bool
}

// touched notes that bytes want a sync, but for those that are durable when the write returns.
func (f *watchedFile) touched() { f.inode.dirty = f.inode.dirty || !f.direct }

func (f *watchedFile) Read(b []byte) (int, error) {
	if err := f.disk.mayFail(); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

func (f *watchedFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.disk.mayFail(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *watchedFile) Write(b []byte) (int, error) {
	f.touched()
	return f.File.Write(b)
}

func (f *watchedFile) WriteAt(b []byte, off int64) (int, error) {
	d := f.disk
	batch := isLog(f.inode.name) && off >= vfs.BlockSize && binary.LittleEndian.Uint64(b) != 0 // and not the zeros of a new segment
	f.inode.batches = f.inode.batches || batch
	if batch && f.direct && d.syncError {
		n := d.srv.diskRand.IntN(len(b)/vfs.BlockSize+1) * vfs.BlockSize
		if n > 0 {
			if _, err := f.File.WriteAt(b[:n], off); err != nil {
				return 0, err
			}
		}
		return 0, d.failSync()
	}
	f.touched()
	running := d.srv.proc != nil && d.srv.proc.log != nil // what recovery writes again is not the next batch
	if lie := d.lie; batch && running && lie != writeTrue {
		d.lie = writeTrue
		d.srv.sim.stats.Lies++
		d.srv.sim.log(d.srv.id, "has a disk that lies about %d bytes at %d", uint64(len(b)), uint64(off), 0)
		if lie == writeLost {
			return len(b), nil
		}
		off = vfs.BlockSize + d.srv.diskRand.Int64N(off/vfs.BlockSize)*vfs.BlockSize
	}
	return f.File.WriteAt(b, off)
}

func (f *watchedFile) Truncate(sizeBytes int64) error {
	f.touched()
	return f.File.Truncate(sizeBytes)
}

func (f *watchedFile) Sync() error {
	d := f.disk
	if d.syncError && f.inode.batches && f.inode.dirty {
		if err := d.mem.FailSync(f.inode.name); err != nil {
			return err
		}
		return d.failSync()
	}
	err := f.File.Sync()
	if err == nil {
		f.inode.dirty = d.mem.Stuck(f.inode.name)
	}
	return err
}

// failSync is the error of a sync or of a durable write.
func (d *disk) failSync() error {
	d.syncError, d.troubled = false, true
	d.srv.sim.stats.SyncErrors++
	return errDisk
}
