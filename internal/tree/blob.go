package tree

import (
	"fmt"
	"math/bits"
)

// A blob is a znode's name followed by its data. It is never changed: a write makes a new one. Blobs live in chunks; a chunk is
// cut into slots of one size class, or holds one blob that is too large for that. Chunk 0 stands for the empty blob.
const (
	classStep   = 8        // between the sizes up to fineBlob
	fineBlob    = 256      // above it there are 8 sizes to a doubling: at most an eighth is wasted
	maxSlotted  = 32 << 10 // above it a blob has a chunk of its own
	minChunk    = 16 << 10 // the first chunk of a class, so that a small tree stays small
	maxChunk    = 1 << 20  // chunks of a class double up to here
	maxChunks   = 1 << 24  // what a record's place can say
	maxSlots    = 1 << 16  // what a record's slot can say
	fineClasses = fineBlob / classStep
	numClasses  = fineClasses + 7*8
	keptChunks  = 16 // free chunks of maxChunk bytes kept for reuse
)

// place is where a blob is.
type place struct {
	chunk uint32
	slot  uint16
}

// blobs allocates. Where a blob lies has no influence on anything that leaves the tree.
type blobs struct {
	chunks  []chunk
	unused  []uint32 // numbers of chunks without memory
	kept    [][]byte // free memory of maxChunk bytes each
	classes [numClasses]class
	bytes   int64 // memory of all chunks
}

// chunk is one piece of memory. Of a chunk in slots: used + set bits of free = slots.
type chunk struct {
	buf   []byte
	free  []uint64 // a bit for every slot: free
	hint  int      // words of free below it are 0
	size  uint32   // of a slot; 0 of a chunk of one blob
	used  uint32
	slots uint32
	class uint8
	// place in the class's list of chunks with a free slot
	listed     bool
	prev, next uint32
}

type class struct {
	head   uint32 // first chunk with a free slot; 0: none
	chunks uint32
}

func newBlobs() blobs { return blobs{chunks: make([]chunk, 1)} }

// classOf is the smallest class whose slots hold n bytes; 0 < n <= maxSlotted.
func classOf(n int) int {
	if n <= fineBlob {
		return (n+classStep-1)/classStep - 1
	}
	e := bits.Len(uint(n-1)) - 1        // 2^e < n <= 2^(e+1), e >= 8
	step := (n - 1 - 1<<e) >> (e - 3)   // 0..7
	return fineClasses + (e-8)*8 + step // 256 < n
}

// classSize is the slot size of class c.
func classSize(c int) int {
	if c < fineClasses {
		return (c + 1) * classStep
	}
	c -= fineClasses
	e := 8 + c/8
	return 1<<e + (c%8+1)<<(e-3)
}

// alloc is memory for a blob of n bytes, not cleared.
func (s *blobs) alloc(n int) (place, []byte) {
	if n == 0 {
		return place{}, []byte{}
	}
	if n > maxSlotted {
		no := s.addChunk(chunk{buf: make([]byte, n), used: 1, slots: 1})
		return place{chunk: no}, s.chunks[no].buf
	}
	k := classOf(n)
	c := &s.classes[k]
	if c.head == 0 {
		s.growClass(k)
	}
	no := c.head
	ch := &s.chunks[no]
	for ch.free[ch.hint] == 0 {
		ch.hint++
	}
	bit := bits.TrailingZeros64(ch.free[ch.hint])
	ch.free[ch.hint] &^= 1 << bit
	slot := ch.hint*64 + bit
	if ch.used++; ch.used == ch.slots {
		s.unlist(no)
	}
	off := slot * int(ch.size)
	return place{chunk: no, slot: uint16(slot)}, ch.buf[off : off+n : off+n]
}

// at is the blob of n bytes at p.
func (s *blobs) at(p place, n int) []byte {
	if p.chunk == 0 {
		return []byte{}
	}
	ch := &s.chunks[p.chunk]
	off := int(p.slot) * int(ch.size)
	return ch.buf[off : off+n : off+n]
}

// release gives a blob's memory back.
func (s *blobs) release(p place) {
	if p.chunk == 0 {
		return
	}
	ch := &s.chunks[p.chunk]
	ch.used--
	if ch.used == 0 {
		s.dropChunk(p.chunk)
		return
	}
	w := int(p.slot / 64)
	ch.free[w] |= 1 << (p.slot % 64)
	ch.hint = min(ch.hint, w)
	if !ch.listed {
		s.list(p.chunk)
	}
}

// growClass adds a chunk to class k.
func (s *blobs) growClass(k int) {
	c := &s.classes[k]
	size := classSize(k)
	n := maxChunk
	if c.chunks < 6 {
		n = max(minChunk<<c.chunks, 4*size)
	}
	var buf []byte
	if last := len(s.kept) - 1; n == maxChunk && last >= 0 {
		buf, s.kept = s.kept[last], s.kept[:last]
	} else {
		buf = make([]byte, n)
	}
	slots := min(n/size, maxSlots)
	free := make([]uint64, (slots+63)/64)
	for i := range free {
		free[i] = ^uint64(0)
	}
	if r := slots % 64; r != 0 {
		free[len(free)-1] = 1<<r - 1
	}
	c.chunks++
	s.list(s.addChunk(chunk{buf: buf, free: free, size: uint32(size), slots: uint32(slots), class: uint8(k)}))
}

func (s *blobs) addChunk(c chunk) uint32 {
	s.bytes += int64(len(c.buf))
	if last := len(s.unused) - 1; last >= 0 {
		no := s.unused[last]
		s.unused = s.unused[:last]
		s.chunks[no] = c
		return no
	}
	if len(s.chunks) == maxChunks {
		panic(fmt.Sprintf("tree: %d chunks of blobs, a record can say no more than %d", len(s.chunks), maxChunks))
	}
	s.chunks = append(s.chunks, c)
	return uint32(len(s.chunks) - 1)
}

func (s *blobs) dropChunk(no uint32) {
	ch := &s.chunks[no]
	s.bytes -= int64(len(ch.buf))
	if ch.size != 0 {
		s.classes[ch.class].chunks--
		if ch.listed {
			s.unlist(no)
		}
		if len(ch.buf) == maxChunk && len(s.kept) < keptChunks {
			s.kept = append(s.kept, ch.buf)
		}
	}
	s.chunks[no] = chunk{}
	s.unused = append(s.unused, no)
}

func (s *blobs) list(no uint32) {
	ch := &s.chunks[no]
	c := &s.classes[ch.class]
	ch.listed, ch.prev, ch.next = true, 0, c.head
	if c.head != 0 {
		s.chunks[c.head].prev = no
	}
	c.head = no
}

func (s *blobs) unlist(no uint32) {
	ch := &s.chunks[no]
	if ch.prev != 0 {
		s.chunks[ch.prev].next = ch.next
	} else {
		s.classes[ch.class].head = ch.next
	}
	if ch.next != 0 {
		s.chunks[ch.next].prev = ch.prev
	}
	ch.listed, ch.prev, ch.next = false, 0, 0
}

// bufs is the memory of every chunk by its number, as a View keeps it.
func (s *blobs) bufs() []frozenChunk {
	out := make([]frozenChunk, len(s.chunks))
	for i := range s.chunks {
		out[i] = frozenChunk{buf: s.chunks[i].buf, size: s.chunks[i].size}
	}
	return out
}

type frozenChunk struct {
	buf  []byte
	size uint32
}
