package tree

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// lookup says whether the index has the entry where a search would find it.
func (x *index) lookup(tag, id uint32) bool {
	s := x.segment(tag)
	mask := uint32(len(s.slots) - 1)
	for i := tag & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if s.slots[i] == uint64(tag)<<32|uint64(id) {
			return true
		}
	}
	return false
}

// TestIndexIsASet compares with a map while the index grows and shrinks. Tags are drawn so that many share their slot, their segment,
// or everything.
func TestIndexIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		mask := rapid.SampledFrom([]uint32{^uint32(0), 0xffff, 0xff00_0000, 0xf000_000f, 0}).Draw(t, "mask")
		tags := map[uint32]uint32{} // by id
		n := rapid.IntRange(0, 4*segLen).Draw(t, "n")
		if mask == 0 {
			n %= segLen // one tag for all: a run as long as this
		}
		for id := uint32(1); id <= uint32(n); id++ {
			tags[id] = rng.Uint32() & mask
			x.insert(tags[id], id)
			if rng.IntN(3) == 0 {
				victim := 1 + rng.Uint32N(id)
				if tag, ok := tags[victim]; ok {
					x.remove(tag, victim)
					delete(tags, victim)
				}
			}
		}
		for id := uint32(1); id <= uint32(n); id++ {
			tag, want := tags[id]
			if want && !x.lookup(tag, id) {
				t.Fatalf("entry %d with tag %x is lost", id, tag)
			}
		}
		used := 0
		var last *segment
		for _, s := range x.dir {
			if s != last {
				used += s.used
			}
			last = s
		}
		if used != len(tags) || x.used != used {
			t.Fatalf("%d entries, %d counted, want %d", used, x.used, len(tags))
		}
	})
}

// TestIndexAtItsDepth holds that equal tags, which no split can part, end in a segment that grows.
func TestIndexAtItsDepth(t *testing.T) {
	x := newIndex()
	for id := range uint32(3 * segLen) {
		x.insert(0x89abcdef, id+1)
	}
	if x.depth != maxIndexDepth || len(x.segment(0x89abcdef).slots) < 3*segLen {
		t.Fatalf("depth %d, %d slots", x.depth, len(x.segment(0x89abcdef).slots))
	}
	x.insert(0x12345678, 1)
	for id := range uint32(3 * segLen) {
		if !x.lookup(0x89abcdef, id+1) {
			t.Fatalf("entry %d is lost", id+1)
		}
		x.remove(0x89abcdef, id+1)
	}
	if !x.lookup(0x12345678, 1) || x.used != 1 {
		t.Fatal("the other entry is lost")
	}
}

func TestIndexBuild(t *testing.T) {
	for _, n := range []int{0, 1, segFull - 1, segFull, segFull + 1, 10 * segLen, 100_000} {
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		entries := make([]uint64, n)
		for i := range entries {
			entries[i] = rng.Uint64()<<32 | uint64(i+1)
		}
		x := newIndex()
		if _, _, ok := x.build(entries, func(a, b uint32) bool { return false }); !ok || x.used != n {
			t.Fatalf("%d of %d entries", x.used, n)
		}
		for _, e := range entries {
			if !x.lookup(uint32(e>>32), uint32(e)) {
				t.Fatalf("entry %x of %d is lost", e, n)
			}
		}
		if n < 2 {
			continue
		}
		x = newIndex()
		entries[n-1] = entries[0]&^0xffffffff | uint64(n)
		a, b, ok := x.build(entries, func(a, b uint32) bool { return a+b == uint32(n)+1 && min(a, b) == 1 })
		if ok || a+b != uint32(n)+1 {
			t.Fatalf("the twins of %d entries were not seen", n)
		}
	}
}

func TestHasher(t *testing.T) {
	h, other := newHasher(1), newHasher(2)
	seen := map[uint32]string{}
	s := ""
	for i := range 2000 { // every length, and every byte of it counts
		s += string(rune('a' + i%26))
		for _, v := range []string{s, s[:len(s)/2] + "#" + s[len(s)/2+1:], "#" + s[1:], s[:len(s)-1] + "#"} {
			tag := h.tag(v)
			if old, ok := seen[tag]; ok && old != v {
				t.Logf("%d bytes: same tag", len(v)) // 8,000 of 2^32: at most a few by chance
				if len(old) == len(v) {
					t.Errorf("%q and %q have one tag", old, v)
				}
			}
			seen[tag] = v
		}
		if h.tag(s) == other.tag(s) {
			t.Errorf("the keys do not count for %q", s)
		}
	}
}
