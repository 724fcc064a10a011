package tree

import "math/bits"

// segLen is the number of slots of a fresh index segment, a power of two; segFull is how many of them may be in use. A lookup
// that finds nothing walks 15 slots of 8 bytes on average at that load.
const (
	segLen  = 1024
	segFull = segLen * 13 / 16
)

// index finds a record by the hash of its path: extendible hashing over segments with linear probing.
//
//	tag = upper 32 bits of the hash
//	      ┌ depth bits ┬───────────┬ 10 bits ┐
//	tag:  │ directory  │           │ slot    │      slot: tag<<32 | record id; 0 is free
//	      └────────────┴───────────┴─────────┘
//
// A full segment is split in two, so that the index grows by 8 KiB at a time: no pause and no second copy of all, which one
// large table has when it doubles. A slot holds all that is needed to move it.
type index struct {
	dir   []*segment // 1<<depth; neighbours may be the same segment
	depth uint
	used  int
}

// segment holds the slots whose tags agree in their upper depth bits.
type segment struct {
	slots []uint64 // a power of two
	used  int
	depth uint
}

func newIndex() index {
	return index{dir: []*segment{{slots: make([]uint64, segLen)}}}
}

func (x *index) segment(tag uint32) *segment { return x.dir[tag>>(32-x.depth)] }

// insert adds an entry that is not there.
func (x *index) insert(tag, id uint32) {
	s := x.segment(tag)
	for s.used >= len(s.slots)*13/16 {
		x.makeRoom(s, tag)
		s = x.segment(tag)
	}
	s.put(tag, uint64(tag)<<32|uint64(id))
	x.used++
}

func (s *segment) put(tag uint32, e uint64) {
	mask := uint32(len(s.slots) - 1)
	i := tag & mask
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = e
	s.used++
}

// remove takes out an entry that is there. Later entries of its run move up, so that no run has a hole.
func (x *index) remove(tag, id uint32) {
	s := x.segment(tag)
	mask := uint32(len(s.slots) - 1)
	i, e := tag&mask, uint64(tag)<<32|uint64(id)
	for s.slots[i] != e {
		if s.slots[i] == 0 {
			panic("tree: index has no entry for a record that exists")
		}
		i = (i + 1) & mask
	}
	for j := i; ; {
		j = (j + 1) & mask
		if s.slots[j] == 0 {
			break
		}
		home := uint32(s.slots[j]>>32) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
	s.used--
	x.used--
}

// makeRoom splits s, the segment of tag; at the greatest depth it doubles it.
func (x *index) makeRoom(s *segment, tag uint32) {
	if s.depth == maxIndexDepth {
		old := s.slots
		s.slots, s.used = make([]uint64, 2*len(old)), 0
		for _, e := range old {
			if e != 0 {
				s.put(uint32(e>>32), e)
			}
		}
		return
	}
	if s.depth == x.depth {
		dir := make([]*segment, 2*len(x.dir))
		for i, s := range x.dir {
			dir[2*i], dir[2*i+1] = s, s
		}
		x.dir = dir
		x.depth++
	}
	d := s.depth + 1
	low := &segment{slots: make([]uint64, segLen), depth: d}
	high := &segment{slots: make([]uint64, segLen), depth: d}
	for _, e := range s.slots {
		if e == 0 {
			continue
		}
		if t := uint32(e >> 32); t>>(32-d)&1 == 0 {
			low.put(t, e)
		} else {
			high.put(t, e)
		}
	}
	// the entries of the directory that pointed to s
	n := 1 << (x.depth - s.depth)
	first := int(tag>>(32-x.depth)) &^ (n - 1)
	for i := range n / 2 {
		x.dir[first+i], x.dir[first+n/2+i] = low, high
	}
}

// build fills an empty index with entries, in any order: it sorts them by segment first, which is several times faster than
// jumping about. isTwin(a, b) says whether two records of the same tag have the same path; build stops at such a pair.
func (x *index) build(entries []uint64, isTwin func(a, b uint32) bool) (a, b uint32, ok bool) {
	for len(entries)>>x.depth > segFull*7/8 && x.depth < maxIndexDepth {
		x.depth++
	}
	x.dir = make([]*segment, 1<<x.depth)
	starts := make([]int, len(x.dir)+1)
	for _, e := range entries {
		starts[e>>(64-x.depth)+1]++
	}
	for i := range x.dir {
		x.dir[i] = &segment{slots: make([]uint64, segLen), depth: x.depth}
		starts[i+1] += starts[i]
	}
	sorted := make([]uint64, len(entries))
	for _, e := range entries {
		at := &starts[e>>(64-x.depth)]
		sorted[*at] = e
		*at++
	}
	for _, e := range sorted {
		tag, id := uint32(e>>32), uint32(e)
		s := x.segment(tag)
		mask := uint32(len(s.slots) - 1)
		for i := tag & mask; s.slots[i] != 0; i = (i + 1) & mask {
			if o := s.slots[i]; uint32(o>>32) == tag && isTwin(uint32(o), id) {
				return uint32(o), id, false
			}
		}
		x.insert(tag, id)
	}
	return 0, 0, true
}

// hasher hashes paths for the index. Its keys come from Options.Seed, so that a client cannot choose paths that collide. (The
// digest has another hash: it must be the same everywhere.)
type hasher struct{ k0, k1, k2, k3 uint64 }

func newHasher(seed uint64) hasher {
	next := func() uint64 { // splitmix64
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	return hasher{next() | 1, next() | 1, next() | 1, next() | 1}
}

// fold multiplies to 128 bits and folds the halves.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// tag is what the index keeps of the hash of p.
func (h *hasher) tag(p string) uint32 {
	s := h.k0 ^ uint64(len(p))*h.k1
	for len(p) > 16 {
		s = fold(load64(p)^h.k1, load64(p[8:])^s)
		p = p[16:]
	}
	var a, b uint64
	switch n := len(p); {
	case n >= 8:
		a, b = load64(p), load64(p[n-8:])
	case n >= 4:
		a, b = uint64(load32(p)), uint64(load32(p[n-4:]))
	case n > 0:
		a = uint64(p[0])<<16 | uint64(p[n/2])<<8 | uint64(p[n-1])
	}
	s = fold(a^h.k2, b^s)
	return uint32(fold(s^h.k3, h.k1) >> 32)
}

func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
