package core

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// View is the state at one moment. It stays as it is while the FS goes on.
type View struct {
	pages []*page
	head  head
}

// head begins a snapshot: a line of JSON, then each inode, its length before it.
type head struct {
	Format  string            `json:"format"`
	Inodes  int               `json:"inodes"`
	Next    counters          `json:"next"`
	Workers []Worker          `json:"workers"`
	Mounts  map[uint64]string `json:"mounts"`
	Digest  uint64            `json:"digest,string"`
}

const viewFormat = "fsmaster 2"

// maxInodeBytes bounds an inode in a snapshot.
const maxInodeBytes = 64 << 20

// View takes the pages as they are. It costs a copy of the list of pages, a pointer for 256 inodes.
func (f *FS) View() *View {
	f.epoch++
	v := &View{pages: slices.Clone(f.pages), head: head{Format: viewFormat, Inodes: f.count, Next: f.next, Workers: f.Workers(), Digest: f.sum}}
	v.head.Mounts = make(map[uint64]string, len(f.mounts))
	for id, uri := range f.mounts {
		v.head.Mounts[id] = uri
	}
	return v
}

// WriteTo writes the state, inodes by number.
func (v *View) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	b := bufio.NewWriterSize(c, 64<<10)
	if err := json.NewEncoder(b).Encode(&v.head); err != nil {
		return c.n, err
	}
	var one, size []byte
	for _, p := range v.pages {
		if p == nil {
			continue
		}
		for _, n := range p.nodes {
			if n == nil {
				continue
			}
			one = n.append(one[:0])
			size = binary.AppendUvarint(size[:0], uint64(len(one)))
			if _, err := b.Write(append(size, one...)); err != nil {
				return c.n, err
			}
		}
	}
	err := b.Flush()
	return c.n, err
}

// Close implements replica.View.
func (v *View) Close() {}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Restore reads what a View wrote.
func Restore(r io.Reader) (*FS, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	line, err := b.ReadBytes('\n')
	var h head
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("core: snapshot: %w", err)
	}
	if h.Format != viewFormat {
		return nil, fmt.Errorf("core: the snapshot has format %.40q, this version knows %q", h.Format, viewFormat)
	}
	f := New()
	f.drop(f.get(rootID))
	f.next = h.Next
	var one []byte
	nodes := make([]*inode, 0, min(h.Inodes, 1<<20))
	for range h.Inodes {
		n := &inode{}
		if err := readInode(b, &one, n); err != nil {
			return nil, fmt.Errorf("core: snapshot, inode %d of %d: %w", len(nodes), h.Inodes, err)
		}
		if n.ID == 0 || n.ID > h.Next.Inode || f.get(n.ID) != nil {
			return nil, fmt.Errorf("core: snapshot: inode %d is none", n.ID)
		}
		f.own(n.ID).nodes[n.ID%pageSize] = n
		f.sum += n.hash()
		if n.Dir {
			f.dirs[n.ID] = make(map[string]uint64)
		}
		nodes = append(nodes, n)
	}
	f.count = len(nodes)
	if f.get(rootID) == nil {
		return nil, errors.New("core: the snapshot has no root")
	}
	for _, n := range nodes { // a parent may have a higher number than its child
		if n.ID != rootID && f.dirs[n.Parent] == nil {
			return nil, fmt.Errorf("core: snapshot: inode %d is in no directory", n.ID)
		}
		f.index(n)
	}
	return f, f.restoreRest(&h)
}

// readInode reads an inode; buf is used again.
func readInode(b *bufio.Reader, buf *[]byte, n *inode) error {
	size, err := binary.ReadUvarint(b)
	if err != nil {
		return err
	}
	if size > maxInodeBytes {
		return errCodec
	}
	*buf = slices.Grow((*buf)[:0], int(size))[:size]
	if _, err := io.ReadFull(b, *buf); err != nil {
		return err
	}
	return n.decode(*buf)
}

func (f *FS) restoreRest(h *head) error {
	for _, w := range h.Workers {
		f.workers[w.ID] = &w
		f.sum += hashOf(w)
	}
	for id, uri := range h.Mounts {
		f.mounts[id] = uri
		f.sum += hashOf([]any{id, uri})
	}
	if f.sum != h.Digest {
		return fmt.Errorf("core: the snapshot's digest is %016x, its head says %016x: it is damaged", f.sum, h.Digest)
	}
	return nil
}
