package vfs

import (
	"errors"
	"fmt"
	"io"
	"unsafe"
)

// FS is a filesystem. Errors of a name that isn't there match fs.ErrNotExist, of one that is, fs.ErrExist; a full disk matches
// syscall.ENOSPC.
type FS interface {
	// Create makes name, or truncates it to nothing, and opens it for reading and writing.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenLog opens a file for writes that are durable when they return, past the page cache, where the filesystem can do
	// that: direct is then true, and offsets, lengths and the memory of every read and write must be multiples of BlockSize (see
	// AlignedBuffer). Otherwise it is an ordinary file and wants Sync. With create the file is made if it is missing; it is never truncated.
	OpenLog(name string, create bool) (f File, direct bool, err error)
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// Rename gives a file or directory another name in the same directory, replacing what has that name.
	Rename(from, to string) error
	// MkdirAll makes a directory and its parents, and their names durable.
	MkdirAll(dir string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	// Stat returns a file's size in bytes.
	Stat(name string) (sizeBytes int64, err error)
	// SyncDir makes the names in dir durable, as they are now.
	SyncDir(dir string) error
	// Lock takes name for this process until Close or death, and writes owner into it for whoever comes second, who gets a *LockedError.
	Lock(name, owner string) (io.Closer, error)
	// Free returns how many bytes can still be written to the filesystem of dir.
	Free(dir string) (uint64, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Reader
	io.Writer // at a position of its own, from 0 on, shared with Read
	// Sync makes the file's bytes and length durable (fdatasync). After an error nothing is known about them, and trying
	// again tells nothing: the kernel may have dropped what it could not write and call it clean.
	Sync() error
	// Size returns the length in bytes.
	Size() (int64, error)
	// Truncate sets the length; bytes beyond the old one read as zero.
	Truncate(sizeBytes int64) error
	// Close closes without syncing.
	Close() error
}

// BlockSize is what the offset, length and address of direct reads and writes are multiples of, in bytes.
const BlockSize = 4096

// SectorSize is the unit that a power loss leaves whole, old or new, in bytes.
const SectorSize = 512

// ErrLocked is matched by every *LockedError.
var ErrLocked = errors.New("vfs: locked")

// LockedError says who holds a lock.
type LockedError struct {
	Name  string // the lock file
	Owner string // what the holder wrote into it; may be empty
}

// Error names the lock and its holder.
func (e *LockedError) Error() string {
	if e.Owner == "" {
		return fmt.Sprintf("vfs: %s is locked", e.Name)
	}
	return fmt.Sprintf("vfs: %s is locked by %s", e.Name, e.Owner)
}

// Is matches ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// AlignedBuffer returns n zero bytes whose address is a multiple of BlockSize, as direct files want.
func AlignedBuffer(n int) []byte {
	b := make([]byte, n+BlockSize)
	skip := 0
	if over := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % BlockSize); over != 0 {
		skip = BlockSize - over
	}
	return b[skip : skip+n : skip+n]
}

// aligned says whether a direct file would take this read or write.
func aligned(b []byte, off int64) bool {
	return off%BlockSize == 0 && len(b)%BlockSize == 0 && uintptr(unsafe.Pointer(unsafe.SliceData(b)))%BlockSize == 0
}
