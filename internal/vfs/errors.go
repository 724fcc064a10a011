package vfs

import (
	"io"
	"strings"
	"sync"
)

// Op is a kind of operation, or several of them.
type Op uint16

// The kinds. A File's Read and ReadAt are OpRead, Write and WriteAt OpWrite.
const (
	OpCreate Op = 1 << iota
	OpOpen      // Open and OpenLog
	OpRemove
	OpRename
	OpMkdir
	OpList
	OpStat // Stat, Size and Free
	OpSyncDir
	OpLock
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpClose

	// OpAny is every kind.
	OpAny Op = 1<<iota - 1
	// OpChange is what changes the disk.
	OpChange = OpCreate | OpRemove | OpRename | OpMkdir | OpSyncDir | OpWrite | OpSync | OpTruncate
)

// Rule makes operations fail.
type Rule struct {
	Ops  Op     // which kinds
	Path string // a part of the name; empty: any
	Nth  int    // the first one that fails, counted from 1 among those that match since the rule was added; 0 is 1
	Last int    // the last one that fails; 0: only the Nth, negative: all from then on
	Err  error  // with what

	// Written is how many bytes of a failing write reach the file all the same.
	Written int

	seen int // guarded by Errors.mu
}

// Errors is a filesystem around another that fails as its rules say. Rules may be added while it is in use.
type Errors struct {
	fs FS

	mu    sync.Mutex
	rules []*Rule
	count map[Op]int
}

// WithErrors wraps fsys.
func WithErrors(fsys FS, rules ...*Rule) *Errors {
	e := &Errors{fs: fsys, count: map[Op]int{}}
	for _, r := range rules {
		e.Add(r)
	}
	return e
}

// Add adds a rule; its count starts now. The rule belongs to e from then on.
func (e *Errors) Add(r *Rule) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r.seen = 0
	e.rules = append(e.rules, r)
}

// Clear drops all rules.
func (e *Errors) Clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = nil
}

// Count returns how many operations of these kinds were asked for so far.
func (e *Errors) Count(ops Op) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := 0
	for op, n := range e.count {
		if op&ops != 0 {
			sum += n
		}
	}
	return sum
}

// check counts an operation and returns the rule that makes it fail, or nil.
func (e *Errors) check(op Op, name string) *Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count[op]++
	var hit *Rule
	for _, r := range e.rules {
		if r.Ops&op == 0 || !strings.Contains(name, r.Path) {
			continue
		}
		r.seen++
		nth := max(1, r.Nth)
		if r.seen == nth || r.seen > nth && (r.Last < 0 || r.seen <= r.Last) {
			hit = r
		}
	}
	return hit
}

func (e *Errors) fail(op Op, verb, name string) error {
	if r := e.check(op, name); r != nil {
		return pathError(verb, name, r.Err)
	}
	return nil
}

// Create implements FS.
func (e *Errors) Create(name string) (File, error) {
	if err := e.fail(OpCreate, "create", name); err != nil {
		return nil, err
	}
	return e.wrap(name)(e.fs.Create(name))
}

// Open implements FS.
func (e *Errors) Open(name string) (File, error) {
	if err := e.fail(OpOpen, "open", name); err != nil {
		return nil, err
	}
	return e.wrap(name)(e.fs.Open(name))
}

// OpenLog implements FS.
func (e *Errors) OpenLog(name string, create bool) (File, bool, error) {
	if err := e.fail(OpOpen, "open", name); err != nil {
		return nil, false, err
	}
	f, direct, err := e.fs.OpenLog(name, create)
	f, err = e.wrap(name)(f, err)
	return f, direct, err
}

func (e *Errors) wrap(name string) func(File, error) (File, error) {
	return func(f File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &errorFile{File: f, e: e, name: name}, nil
	}
}

// Remove implements FS.
func (e *Errors) Remove(name string) error {
	if err := e.fail(OpRemove, "remove", name); err != nil {
		return err
	}
	return e.fs.Remove(name)
}

// Rename implements FS; rules look at the new name.
func (e *Errors) Rename(from, to string) error {
	if err := e.fail(OpRename, "rename", to); err != nil {
		return err
	}
	return e.fs.Rename(from, to)
}

// MkdirAll implements FS.
func (e *Errors) MkdirAll(dir string) error {
	if err := e.fail(OpMkdir, "mkdir", dir); err != nil {
		return err
	}
	return e.fs.MkdirAll(dir)
}

// List implements FS.
func (e *Errors) List(dir string) ([]string, error) {
	if err := e.fail(OpList, "list", dir); err != nil {
		return nil, err
	}
	return e.fs.List(dir)
}

// Stat implements FS.
func (e *Errors) Stat(name string) (int64, error) {
	if err := e.fail(OpStat, "stat", name); err != nil {
		return 0, err
	}
	return e.fs.Stat(name)
}

// SyncDir implements FS.
func (e *Errors) SyncDir(dir string) error {
	if err := e.fail(OpSyncDir, "sync", dir); err != nil {
		return err
	}
	return e.fs.SyncDir(dir)
}

// Lock implements FS.
func (e *Errors) Lock(name, owner string) (io.Closer, error) {
	if err := e.fail(OpLock, "lock", name); err != nil {
		return nil, err
	}
	return e.fs.Lock(name, owner)
}

// Free implements FS.
func (e *Errors) Free(dir string) (uint64, error) {
	if err := e.fail(OpStat, "statfs", dir); err != nil {
		return 0, err
	}
	return e.fs.Free(dir)
}

type errorFile struct {
	File
	e    *Errors
	name string
}

func (f *errorFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.e.fail(OpRead, "read", f.name); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *errorFile) Read(b []byte) (int, error) {
	if err := f.e.fail(OpRead, "read", f.name); err != nil {
		return 0, err
	}
	return f.File.Read(b)
}

func (f *errorFile) WriteAt(b []byte, off int64) (int, error) {
	if r := f.e.check(OpWrite, f.name); r != nil {
		n, err := f.File.WriteAt(b[:min(r.Written, len(b))], off)
		if err == nil {
			err = pathError("write", f.name, r.Err)
		}
		return n, err
	}
	return f.File.WriteAt(b, off)
}

func (f *errorFile) Write(b []byte) (int, error) {
	if r := f.e.check(OpWrite, f.name); r != nil {
		n, err := f.File.Write(b[:min(r.Written, len(b))])
		if err == nil {
			err = pathError("write", f.name, r.Err)
		}
		return n, err
	}
	return f.File.Write(b)
}

func (f *errorFile) Sync() error {
	if err := f.e.fail(OpSync, "sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *errorFile) Size() (int64, error) {
	if err := f.e.fail(OpStat, "stat", f.name); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *errorFile) Truncate(sizeBytes int64) error {
	if err := f.e.fail(OpTruncate, "truncate", f.name); err != nil {
		return err
	}
	return f.File.Truncate(sizeBytes)
}

func (f *errorFile) Close() error {
	err := f.e.fail(OpClose, "close", f.name)
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	return err
}
