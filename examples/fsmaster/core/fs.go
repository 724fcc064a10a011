package core

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// inode is a record. It is not changed any more once a view has it.
type inode struct {
	ID, Parent       uint64
	Name             string
	Dir              bool
	Mode             uint32
	Owner            string
	Size             int64
	MtimeMs, CtimeMs int64
	Attrs            map[string]string // nil rather than empty
	Blocks           []Block

	epoch uint64 // FS.epoch when it was made or copied
}

// page holds the inodes with the same ID / pageSize.
type page struct {
	epoch uint64
	nodes [pageSize]*inode
}

// rootID is the inode of "/".
const rootID = 1

// FS is the metadata. The zero value is not usable; see New.
type FS struct {
	epoch uint64 // raised by each view: what is older belongs to it
	pages []*page
	count int
	sum   uint64                       // digest: sum of a hash per inode, worker and mount
	dirs  map[uint64]map[string]uint64 // names in a directory

	next    counters
	workers map[uint64]*Worker
	mounts  map[uint64]string // by inode
}

// counters are the numbers that were given last, and how far an import is.
type counters struct {
	Inode     uint64 `json:"inode"`
	Block     uint64 `json:"block"`
	Worker    uint64 `json:"worker"`
	Seq       uint64 `json:"seq"` // of the last record that was imported
	Importing bool   `json:"importing,omitempty"`
}

// New makes a file system with nothing but "/".
func New() *FS {
	f := &FS{dirs: make(map[uint64]map[string]uint64), workers: make(map[uint64]*Worker), mounts: make(map[uint64]string)}
	f.next.Inode = rootID
	f.insert(&inode{ID: rootID, Dir: true, Mode: 0o755})
	return f
}

// Len is how many inodes there are, "/" included.
func (f *FS) Len() int { return f.count }

// Digest is a number for the whole state, but for how far an import is: two masters that hold the same files have the same.
func (f *FS) Digest() uint64 { return f.sum }

// get is an inode that is there.
func (f *FS) get(id uint64) *inode {
	if at := id / pageSize; at < uint64(len(f.pages)) && f.pages[at] != nil {
		return f.pages[at].nodes[id%pageSize]
	}
	return nil
}

// own is the page of an inode, to be changed.
func (f *FS) own(id uint64) *page {
	at := int(id / pageSize)
	for len(f.pages) <= at {
		f.pages = append(f.pages, nil)
	}
	p := f.pages[at]
	switch {
	case p == nil:
		p = &page{epoch: f.epoch}
	case p.epoch != f.epoch:
		c := *p
		c.epoch = f.epoch
		p = &c
	}
	f.pages[at] = p
	return p
}

// insert puts in a new inode, in its directory, too.
func (f *FS) insert(n *inode) {
	n.epoch = f.epoch
	f.own(n.ID).nodes[n.ID%pageSize] = n
	f.count++
	f.sum += n.hash()
	f.index(n)
}

// index enters an inode into its directory, and makes its own if it is one.
func (f *FS) index(n *inode) {
	if n.Dir && f.dirs[n.ID] == nil {
		f.dirs[n.ID] = make(map[string]uint64)
	}
	if n.ID != rootID {
		f.dirs[n.Parent][n.Name] = n.ID
	}
}

// edit changes an inode; a view that has it keeps it as it was.
func (f *FS) edit(n *inode, change func(n *inode)) *inode {
	p := f.own(n.ID)
	f.sum -= n.hash()
	if n.epoch != f.epoch {
		c := *n
		c.Attrs, c.Blocks = maps.Clone(n.Attrs), slices.Clone(n.Blocks)
		c.epoch = f.epoch
		n = &c
		p.nodes[n.ID%pageSize] = n
	}
	change(n)
	f.sum += n.hash()
	return n
}

// drop removes an inode that is in no directory any more.
func (f *FS) drop(n *inode) {
	f.own(n.ID).nodes[n.ID%pageSize] = nil
	f.count--
	f.sum -= n.hash()
	delete(f.dirs, n.ID)
}

// hash is of the record's bytes.
func (n *inode) hash() uint64 {
	var b [128]byte
	return xxhash.Sum64(n.append(b[:0]))
}

func hashOf(v any) uint64 {
	b, err := json.Marshal(v)
	if err != nil {
		panic("core: a record can't be encoded: " + err.Error())
	}
	return xxhash.Sum64(b)
}
