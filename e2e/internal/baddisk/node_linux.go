package baddisk

import (
	"context"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or a folder: the library's, with our files in it.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

// WrapChild implements fs.NodeWrapChilder: all below are nodes of ours.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.disk}
}

// below is the node's path in the folder below.
func (n *node) below() string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()))
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.ready(func(Trouble) bool { return false }, false); errno != 0 {
		return nil, 0, errno
	}
	f, err := os.OpenFile(n.below(), access(flags), 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return n.handle(f, flags), fuse.FOPEN_DIRECT_IO, 0
}

// access are the flags that the file below is opened with: to be read for what a write replaces, and without the duties that are ours.
func access(flags uint32) int {
	const kept = syscall.O_TRUNC | syscall.O_EXCL | syscall.O_CREAT
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return os.O_RDONLY
	}
	return os.O_RDWR | int(flags)&kept
}

func (n *node) handle(f *os.File, flags uint32) *handle {
	return &handle{LoopbackFile: fs.NewLoopbackFileFromOS(f), f: f, disk: n.disk, durable: flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0}
}

// Create implements fs.NodeCreater.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.ready(func(t Trouble) bool { return t.FailWrites }, false); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, fh, _, errno := n.LoopbackNode.Create(ctx, name, flags&^uint32(syscall.O_DIRECT|syscall.O_DSYNC|syscall.O_SYNC), mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	fh.(fs.FileReleaser).Release(ctx) // the library's has no name
	f, err := os.OpenFile(filepath.Join(n.below(), name), os.O_RDWR, 0)
	if err != nil {
		return nil, nil, 0, fs.ToErrno(err)
	}
	return inode, n.handle(f, flags), fuse.FOPEN_DIRECT_IO, 0
}

// Setattr implements fs.NodeSetattrer. What a shorter file loses is lost at once.
func (n *node) Setattr(ctx context.Context, fh fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if errno := n.disk.ready(func(t Trouble) bool { return t.FailWrites }, false); errno != 0 {
			return errno
		}
		n.disk.truncated(n.below(), int64(size))
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// Unlink implements fs.NodeUnlinker.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	errno := n.disk.ready(func(t Trouble) bool { return t.FailWrites }, false)
	if errno == 0 {
		errno = n.LoopbackNode.Unlink(ctx, name)
	}
	if errno == 0 {
		n.disk.removed(filepath.Join(n.below(), name))
	}
	return errno
}

// Rename implements fs.NodeRenamer.
func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	errno := n.disk.ready(func(t Trouble) bool { return t.FailWrites }, false)
	to := parent.(*node)
	if errno == 0 {
		errno = n.LoopbackNode.Rename(ctx, name, to.LoopbackNode, newName, flags)
	}
	if errno == 0 {
		n.disk.renamed(filepath.Join(n.below(), name), filepath.Join(to.below(), newName))
	}
	return errno
}

// handle is an open file.
type handle struct {
	*fs.LoopbackFile
	f       *os.File
	disk    *Disk
	durable bool // opened O_DSYNC or O_SYNC
}

// Read implements fs.FileReader.
func (h *handle) Read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := h.disk.ready(func(t Trouble) bool { return t.FailReads && filepath.Base(h.f.Name()) != t.Spared }, false); errno != 0 {
		return nil, errno
	}
	return h.LoopbackFile.Read(ctx, buf, off)
}

// Write implements fs.FileWriter.
func (h *handle) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if errno := h.disk.ready(func(t Trouble) bool { return t.FailWrites || t.FailSyncs && h.durable }, h.durable); errno != 0 {
		return 0, errno
	}
	if !h.durable || h.disk.lies() {
		if err := h.disk.writes(h.f, off, len(data)); err != nil {
			return 0, fs.ToErrno(err)
		}
		return h.LoopbackFile.Write(ctx, data, off)
	}
	n, errno := h.LoopbackFile.Write(ctx, data, off)
	if errno == 0 {
		h.disk.wroteThrough(h.f.Name(), off, int(n))
	}
	return n, errno
}

// Fsync implements fs.FileFsyncer.
func (h *handle) Fsync(context.Context, uint32) syscall.Errno {
	errno := h.disk.ready(func(t Trouble) bool { return t.FailSyncs }, true)
	if errno == 0 && !h.disk.lies() {
		h.disk.synced(h.f.Name())
	}
	return errno
}

// Allocate implements fs.FileAllocater. Room is metadata, which is durable at once.
func (h *handle) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := h.disk.ready(func(t Trouble) bool { return t.FailWrites }, false); errno != 0 {
		return errno
	}
	return h.LoopbackFile.Allocate(ctx, off, size, mode)
}
