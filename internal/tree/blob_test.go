package tree

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestClasses(t *testing.T) {
	last := 0
	for n := 1; n <= maxSlotted; n++ {
		c := classOf(n)
		if c < last || c >= numClasses || classSize(c) < n || c > 0 && classSize(c-1) >= n {
			t.Fatalf("%d bytes: class %d of %d", n, c, classSize(c))
		}
		if waste := classSize(c) - n; waste >= classStep && waste > n/8 {
			t.Fatalf("%d bytes: a slot of %d", n, classSize(c))
		}
		last = c
	}
	if last != numClasses-1 {
		t.Fatalf("last class used is %d of %d", last, numClasses)
	}
}

// TestBlobsKeepWhatTheyGot allocates and releases at random and looks at all blobs.
func TestBlobsKeepWhatTheyGot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newBlobs()
		type blob struct {
			place
			want []byte
		}
		var live []blob
		for i := range rapid.IntRange(0, 400).Draw(t, "steps") {
			if len(live) > 0 && rapid.IntRange(0, 2).Draw(t, "release") == 0 {
				k := rapid.IntRange(0, len(live)-1).Draw(t, "which")
				s.release(live[k].place)
				live[k] = live[len(live)-1]
				live = live[:len(live)-1]
				continue
			}
			n := rapid.SampledFrom([]int{0, 1, 8, 9, 112, 113, 256, 257, 1000, 4096, 30000, maxSlotted, maxSlotted + 1, 100000}).Draw(t, "n")
			p, b := s.alloc(n)
			want := bytes.Repeat([]byte{byte(i)}, n)
			copy(b, want)
			live = append(live, blob{p, want})
		}
		for _, b := range live {
			if got := s.at(b.place, len(b.want)); !bytes.Equal(got, b.want) {
				t.Fatalf("blob at %v changed", b.place)
			}
		}
		for _, b := range live {
			s.release(b.place)
		}
		if s.bytes != 0 {
			t.Fatalf("%d bytes left when all is released", s.bytes)
		}
	})
}

// TestChunksAreReused fills one class, empties it, and fills another.
func TestChunksAreReused(t *testing.T) {
	s := newBlobs()
	var places []place
	for range 200_000 {
		p, _ := s.alloc(40)
		places = append(places, p)
	}
	full, chunks := s.bytes, len(s.chunks)
	for _, p := range places {
		s.release(p)
	}
	if s.bytes != 0 || len(s.kept) == 0 {
		t.Fatalf("%d bytes held, %d chunks kept", s.bytes, len(s.kept))
	}
	for range 100_000 {
		s.alloc(80)
	}
	if s.bytes > full*5/4 || len(s.chunks) > chunks+2 {
		t.Fatalf("%d bytes in %d chunks, %d in %d before", s.bytes, len(s.chunks), full, chunks)
	}
}
