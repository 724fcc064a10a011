package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// ErrPowerOff is returned by every operation of a Mem whose power was cut.
var ErrPowerOff = errors.New("vfs: the power is off")

// Chooser picks one of n possible outcomes, 0 ≤ result < n. *rand.Rand is one; a test that wants every outcome brings its own.
type Chooser interface{ IntN(n int) int }

// Mem is a filesystem in memory that remembers what is durable and what is not:
//
//	file       the bytes as they are read now, and for each sector written since the last Sync every content it had since then
//	directory  the names as they are now, the durable names, and the changes in between in their order
//
// Crash picks, for each such sector, one of the contents, for each length one of the lengths, and for each directory how many of
// the changes made it. Guarded by mu as a whole.
type Mem struct {
	mu       sync.Mutex
	root     *memDir
	rng      *rand.Rand
	direct   bool              // OpenLog gives direct files
	capacity int64             // bytes that all files together may have
	used     int64             // bytes that they have
	steps    int64             // mutating steps so far
	cutAt    int64             // the power goes off when steps gets here; -1: never
	locks    map[string]string // lock file → owner
}

type memDir struct {
	live    map[string]any // *memDir or *memFile
	durable map[string]any
	pending []dirOp // since the last SyncDir, in order
}

// dirOp is a link (from empty), an unlink (to empty) or a rename.
type dirOp struct {
	from, to string
	node     any
}

// NewMem returns an empty filesystem. The seed decides what survives a Crash that is given no Chooser.
func NewMem(seed uint64) *Mem {
	return &Mem{
		root:     newMemDir(),
		rng:      rand.New(rand.NewPCG(seed, 0x6d656d)),
		capacity: math.MaxInt64,
		cutAt:    -1,
		locks:    map[string]string{},
	}
}

func newMemDir() *memDir { return &memDir{live: map[string]any{}, durable: map[string]any{}} }

// SetDirect makes files that OpenLog opens from now on direct or ordinary; at first they are ordinary.
func (m *Mem) SetDirect(direct bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.direct = direct
}

// SetCapacity limits the sum of the lengths of all files; growing beyond it fails with ENOSPC.
func (m *Mem) SetCapacity(sizeBytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = sizeBytes
}

// Steps returns how many steps that change something were taken: each sector written is one, the completion of a direct write,
// and every sync, create, remove, rename, truncate and mkdir.
func (m *Mem) Steps() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps
}

// CutPower turns the power off after so many more steps: the next one, and every operation after it, returns ErrPowerOff. What
// the cut hits in the middle of a write is left as if written and not synced. Crash gives the filesystem after the power is back.
func (m *Mem) CutPower(afterSteps int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cutAt = m.steps + afterSteps
}

// step counts one change, or fails when the power is off.
func (m *Mem) step() error {
	if m.off() {
		return ErrPowerOff
	}
	m.steps++
	return nil
}

func (m *Mem) off() bool { return m.cutAt >= 0 && m.steps >= m.cutAt }

// Crash returns the filesystem as a machine finds it after losing power now; choose may be nil for the seeded one. The receiver stays as it is, so that
// one moment can be crashed many times; open files and locks stay with it.
func (m *Mem) Crash(choose Chooser) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	if choose == nil {
		choose = m.rng
	}
	after := NewMem(m.rng.Uint64())
	after.direct, after.capacity = m.direct, m.capacity
	after.root = after.crashDir(m.root, choose)
	return after
}

func (m *Mem) crashDir(d *memDir, choose Chooser) *memDir {
	names := maps.Clone(d.durable)
	if len(d.pending) > 0 {
		for _, op := range d.pending[:choose.IntN(len(d.pending)+1)] {
			op.apply(names)
		}
	}
	after := newMemDir()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch n := names[name].(type) {
		case *memDir:
			after.durable[name] = m.crashDir(n, choose)
		case *memFile:
			after.durable[name] = n.crash(m, choose)
		}
	}
	after.live = maps.Clone(after.durable)
	return after
}

func (op dirOp) apply(names map[string]any) {
	if op.from != "" {
		delete(names, op.from)
	}
	if op.to != "" {
		names[op.to] = op.node
	}
}

func (d *memDir) change(op dirOp) {
	op.apply(d.live)
	d.pending = append(d.pending, op)
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// dir finds a directory, or fails.
func (m *Mem) dir(op, name string) (*memDir, error) {
	d := m.root
	for _, part := range strings.FieldsFunc(path.Clean(name), func(r rune) bool { return r == '/' }) {
		if part == "." {
			continue
		}
		next, ok := d.live[part].(*memDir)
		if !ok {
			return nil, pathError(op, name, fs.ErrNotExist)
		}
		d = next
	}
	return d, nil
}

// locate finds the directory of a file and its name in it.
func (m *Mem) locate(op, name string) (*memDir, string, error) {
	if m.off() {
		return nil, "", ErrPowerOff
	}
	dir, base := path.Split(path.Clean(name))
	d, err := m.dir(op, dir)
	return d, base, err
}

func (m *Mem) file(op, name string) (*memFile, error) {
	d, base, err := m.locate(op, name)
	if err != nil {
		return nil, err
	}
	f, ok := d.live[base].(*memFile)
	if !ok {
		return nil, pathError(op, name, fs.ErrNotExist)
	}
	return f, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.locate("create", name)
	if err != nil {
		return nil, err
	}
	return m.create(d, base, name)
}

func (m *Mem) create(d *memDir, base, name string) (File, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	switch n := d.live[base].(type) {
	case *memDir:
		return nil, pathError("create", name, syscall.EISDIR)
	case *memFile:
		return &memHandle{fs: m, f: n, name: name}, n.truncate(m, 0)
	}
	f := &memFile{dirty: map[int64][]*sector{}}
	d.change(dirOp{to: base, node: f})
	return &memHandle{fs: m, f: f, name: name}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("open", name)
	if err != nil {
		return nil, err
	}
	return &memHandle{fs: m, f: f, name: name}, nil
}

// OpenLog implements FS; see SetDirect.
func (m *Mem) OpenLog(name string, create bool) (File, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.locate("open", name)
	if err != nil {
		return nil, false, err
	}
	if f, ok := d.live[base].(*memFile); ok {
		return &memHandle{fs: m, f: f, name: name, direct: m.direct}, m.direct, nil
	}
	if !create {
		return nil, false, pathError("open", name, fs.ErrNotExist)
	}
	h, err := m.create(d, base, name)
	if err != nil {
		return nil, false, err
	}
	h.(*memHandle).direct = m.direct
	return h, m.direct, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.locate("remove", name)
	if err != nil {
		return err
	}
	switch n := d.live[base].(type) {
	case nil:
		return pathError("remove", name, fs.ErrNotExist)
	case *memDir:
		if len(n.live) > 0 {
			return pathError("remove", name, syscall.ENOTEMPTY)
		}
	case *memFile:
		m.used -= n.size
	}
	if err := m.step(); err != nil {
		return err
	}
	d.change(dirOp{from: base})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.locate("rename", from)
	if err != nil {
		return err
	}
	d2, base2, err := m.locate("rename", to)
	if err != nil {
		return err
	}
	node := d.live[base]
	if node == nil {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if d != d2 {
		return pathError("rename", to, syscall.EXDEV) // two directories are not durable together
	}
	if base == base2 {
		return nil
	}
	if err := m.step(); err != nil {
		return err
	}
	if old, ok := d.live[base2].(*memFile); ok {
		m.used -= old.size
	}
	d.change(dirOp{from: base, to: base2, node: node})
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.root
	for _, part := range strings.FieldsFunc(path.Clean(dir), func(r rune) bool { return r == '/' }) {
		if part == "." {
			continue
		}
		switch n := d.live[part].(type) {
		case *memDir:
			d = n
			continue
		case *memFile:
			return pathError("mkdir", dir, syscall.ENOTDIR)
		}
		if err := m.step(); err != nil {
			return err
		}
		next := newMemDir()
		d.live[part], d.durable[part] = next, next
		d = next
	}
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off() {
		return nil, ErrPowerOff
	}
	d, err := m.dir("list", dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(d.live)), nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := m.file("stat", name)
	if err != nil {
		return 0, err
	}
	return f.size, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dir("sync", dir)
	if err != nil {
		return err
	}
	if err := m.step(); err != nil {
		return err
	}
	d.durable, d.pending = maps.Clone(d.live), nil
	return nil
}

// Lock implements FS. There is no process to die: a Crash frees the lock.
func (m *Mem) Lock(name, owner string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, _, err := m.locate("lock", name); err != nil {
		return nil, err
	}
	if holder, held := m.locks[name]; held {
		return nil, &LockedError{Name: name, Owner: holder}
	}
	m.locks[name] = owner
	return &memLock{m: m, name: name}, nil
}

type memLock struct {
	m    *Mem
	name string
	once sync.Once
}

// Close frees the lock.
func (l *memLock) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.locks, l.name)
	})
	return nil
}

// Free implements FS.
func (m *Mem) Free(string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(max(0, m.capacity-m.used)), nil
}
