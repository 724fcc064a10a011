package raftlog

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"gopherwood/internal/vfs"
)

// damaged is a log of ten entries of one batch each, 2 to 11, of one block but for entry 6, which has three. The first segment has room for five
// batches, so that 6 is the first of the second. All is durable; the watermark says so up to the entry marked, 0: for none.
func damaged(t *testing.T, direct bool, marked uint64) *harness {
	t.Helper()
	mem := vfs.NewMem(1)
	mem.SetDirect(direct)
	h := newHarness(t, mem, Options{FirstSegmentBytes: 6 * blockSize, SegmentBytes: 32 * blockSize, CacheBytes: 1})
	h.bootstrap()
	for i := uint64(2); i <= 11; i++ {
		size := 20
		if i == 6 {
			size = 2*blockSize + 100
		}
		h.append(i, 1, size)
		if i == marked {
			h.watermark()
		}
	}
	return h
}

// where returns the file and offset of the batch of an entry.
func (h *harness) where(index uint64) (name string, off int64) {
	e := h.log.extents[h.log.extentOf(index)]
	return path.Join(dir, e.seg.name), e.off
}

// damages are what may happen to a batch's bytes at off in file name. harmless: nobody has to notice.
var damages = []struct {
	name     string
	harmless bool
	do       func(m *vfs.Mem, name string, off int64) error
}{
	{"bit in the magic", false, func(m *vfs.Mem, name string, off int64) error { return m.FlipBit(name, off, 3) }},
	{"bit in the header's checksum", false, func(m *vfs.Mem, name string, off int64) error { return m.FlipBit(name, off+5, 0) }},
	{"garbage length", false, func(m *vfs.Mem, name string, off int64) error {
		return m.Scribble(name, off+12, []byte{0xff, 0xff, 0xff, 0x7f})
	}},
	{"zero length", false, func(m *vfs.Mem, name string, off int64) error { return m.Zero(name, off+12, 4) }},
	{"bit in the term", false, func(m *vfs.Mem, name string, off int64) error { return m.FlipBit(name, off+48, 1) }},
	{"bit in the payload", false, func(m *vfs.Mem, name string, off int64) error { return m.FlipBit(name, off+batchHeaderSize+2, 7) }},
	{"zero sector", false, func(m *vfs.Mem, name string, off int64) error { return m.Zero(name, off, vfs.SectorSize) }},
	{"zero block", false, func(m *vfs.Mem, name string, off int64) error { return m.Zero(name, off, blockSize) }},
	{"bit in the padding", true, func(m *vfs.Mem, name string, off int64) error { return m.FlipBit(name, off+blockSize-1, 1) }},
	{"batch before in its place", false, func(m *vfs.Mem, name string, off int64) error {
		f, err := m.Open(name)
		if err != nil {
			return err
		}
		b := make([]byte, blockSize)
		if _, err := f.ReadAt(b, off-blockSize); err != nil {
			return err
		}
		return m.Scribble(name, off, b)
	}},
}

// TestCorruption damages one batch of a durable log. In the middle that is found and nothing is cut; at the very end it cannot be told from
// a torn write, unless the watermark says so.
func TestCorruption(t *testing.T) {
	for _, d := range damages {
		for _, marked := range []uint64{0, 9, 11} {
			for index := uint64(2); index <= 11; index++ {
				for _, direct := range []bool{false, true} {
					h := damaged(t, direct, marked)
					name, off := h.where(index)
					what := fmt.Sprintf("%s of entry %d, marked %v, direct %v", d.name, index, marked, direct)
					if index == 6 && d.harmless {
						continue // its first block has no padding
					}
					must(t, d.do(h.mem, name, off))
					before := image(t, h.mem)
					l, err := Open(h.mem, dir, h.o)
					var corrupt *CorruptError
					switch {
					case d.harmless:
						if err != nil {
							t.Errorf("%s: %v", what, err)
						}
					case index == 11 && marked < 11:
						if err != nil {
							t.Errorf("%s: %v", what, err)
						} else if last, _ := l.LastIndex(); last != 10 {
							t.Errorf("%s: the log ends at %d", what, last)
						}
					case !errors.As(err, &corrupt):
						t.Errorf("%s: %v", what, err)
					case corrupt.File != name || corrupt.Offset != off:
						t.Errorf("%s, at %d of %s: %v", what, off, name, err)
					case !maps.Equal(before, image(t, h.mem)):
						t.Errorf("%s: the files were changed", what)
					}
				}
			}
		}
	}
}

// image is the contents of all files.
func image(t *testing.T, m *vfs.Mem) map[string]string {
	t.Helper()
	files := map[string]string{}
	names, err := m.List(dir)
	must(t, err)
	for _, name := range names {
		f, err := m.Open(path.Join(dir, name))
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, size)
		_, err = f.ReadAt(b, 0)
		must(t, err)
		files[name] = string(b)
	}
	return files
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Blocks after a batch's first are damaged too: entry 6 has three.
func TestCorruptionWithinABatch(t *testing.T) {
	for block := int64(0); block < 3; block++ {
		h := damaged(t, true, 11)
		name, off := h.where(6)
		must(t, h.mem.Zero(name, off+block*blockSize, vfs.SectorSize))
		var corrupt *CorruptError
		if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) || corrupt.Offset != off {
			t.Errorf("block %d: %v", block, err)
		}
	}
}

// TestCorruptFiles damages files other than batches.
func TestCorruptFiles(t *testing.T) {
	segment := func(seq uint64) string { return path.Join(dir, seqName(seq, logSuffix)) }
	mark := path.Join(dir, watermarkName)
	for _, c := range []struct {
		name string
		do   func(h *harness) error
		file string // of the *CorruptError; empty: the log opens
	}{
		{"nothing", func(h *harness) error { return nil }, ""},
		{"first segment's header", func(h *harness) error { return h.mem.FlipBit(segment(1), 9, 1) }, segment(1)},
		{"second segment's header", func(h *harness) error { return h.mem.Zero(segment(2), 0, 512) }, segment(2)},
		{"first segment missing", func(h *harness) error { return h.mem.Remove(segment(1)) }, path.Join(dir, seqName(5, snapSuffix))},
		{"second segment missing", func(h *harness) error { return h.mem.Remove(segment(2)) }, segment(1)},
		{"all segments missing", func(h *harness) error { return errors.Join(h.mem.Remove(segment(1)), h.mem.Remove(segment(2))) }, mark},
		{"second segment shorter", func(h *harness) error { return truncate(h.mem, segment(2), 3*blockSize) }, segment(2)},
		{"second segment empty", func(h *harness) error { return truncate(h.mem, segment(2), 0) }, segment(2)},
		{"watermark missing", func(h *harness) error { return h.mem.Remove(mark) }, mark},
		{"watermark empty", func(h *harness) error { return truncate(h.mem, mark, 0) }, mark},
		{"watermark's first slot", func(h *harness) error { return h.mem.FlipBit(mark, 20, 1) }, ""},
		{"watermark's second slot", func(h *harness) error { return h.mem.FlipBit(mark, blockSize+20, 1) }, ""},
		{"both slots", func(h *harness) error {
			return errors.Join(h.mem.Zero(mark, 0, 512), h.mem.FlipBit(mark, blockSize+20, 1))
		}, mark},
		{"segments exchanged", func(h *harness) error {
			return errors.Join(h.mem.Rename(segment(1), "data/log/x"), h.mem.Rename(segment(2), segment(1)), h.mem.Rename("data/log/x", segment(2)))
		}, segment(1)},
		{"another server's log", func(h *harness) error { h.o.Identity[3]++; return nil }, segment(1)},
	} {
		h := damaged(t, true, 9)
		must(t, c.do(h))
		l, err := Open(h.mem, dir, h.o)
		var corrupt *CorruptError
		switch {
		case c.file == "":
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if last, _ := l.LastIndex(); last != 11 {
				t.Errorf("%s: the log ends at %d", c.name, last)
			}
		case !errors.As(err, &corrupt) || corrupt.File != c.file:
			t.Errorf("%s: %v, want it to be about %s", c.name, err, c.file)
		}
	}
}

func truncate(m *vfs.Mem, name string, size int64) error {
	f, err := m.Open(name)
	if err != nil {
		return err
	}
	return f.Truncate(size)
}

// A segment that is recycled is full of batches with good checksums. None of them is ever the log's again, wherever the new ones end.
func TestRecycledSegmentStaysDead(t *testing.T) {
	mem := vfs.NewMem(1)
	mem.SetDirect(true)
	h := newHarness(t, mem, Options{FirstSegmentBytes: 8 * blockSize, SegmentBytes: 8 * blockSize, CacheBytes: 1})
	h.bootstrap()
	next := uint64(2)
	for range 4 { // every block of every segment is written
		for range 7 {
			h.append(next, 1, 100)
			next++
		}
		h.prepare()
	}
	h.hard.commit = next - 1
	h.snapshot(next-1, next-1)
	h.prepare()
	h.append(next, 1, 100)
	h.prepare()
	h.crashed(nil).open()
	recycled := 0
	for block := 0; block < 16; block++ {
		next++
		h.append(next, 1, 100)
		recycled += strings.Count(strings.Join(slices.Collect(maps.Keys(image(t, h.mem))), " "), spareSuffix)
		c := h.crashed(nil)
		c.open()
		if last, _ := c.log.LastIndex(); last != next {
			t.Fatalf("the log ends at %d, not at %d", last, next)
		}
		h.prepare()
	}
	if h.log.segs.live[0].seq < 4 {
		t.Errorf("no segment was recycled: %d is the first", h.log.segs.live[0].seq)
	}
}

// An entry that was readable when the log was opened and rots afterwards is not handed out.
func TestRotUnderneath(t *testing.T) {
	h := damaged(t, true, 11)
	h.open()
	name, off := h.where(4)
	must(t, h.mem.FlipBit(name, off+batchHeaderSize+2, 2))
	if got, err := h.log.Entries(2, 4, 1<<20); err != nil || len(got) != 2 {
		t.Errorf("entries before it: %d, %v", len(got), err)
	}
	h.log.reader.reset()
	var corrupt *CorruptError
	if _, err := h.log.Entries(2, 12, 1<<20); !errors.As(err, &corrupt) || corrupt.File != name || corrupt.Offset != off {
		t.Errorf("reading it: %v", err)
	}
}

// forge rewrites the header of an entry's batch, its checksum included.
func (h *harness) forge(t *testing.T, index uint64, change func(b *batchHeader)) {
	t.Helper()
	name, off := h.where(index)
	f, err := h.mem.Open(name)
	must(t, err)
	b := make([]byte, batchHeaderSize)
	_, err = f.ReadAt(b, off)
	must(t, err)
	var header batchHeader
	seed := h.log.writer.seed
	if !header.parse(b, seed) {
		t.Fatal("no batch there")
	}
	change(&header)
	header.put(b, h.o.Identity.seed())
	must(t, h.mem.Scribble(name, off, b))
}

// A segment whose header is gone is not written to, not even if nothing is lost yet.
func TestCorruptEmptyLog(t *testing.T) {
	m := vfs.NewMem(1)
	_, err := Open(m, dir, Options{})
	must(t, err)
	must(t, m.FlipBit(path.Join(dir, seqName(1, logSuffix)), 30, 1))
	var corrupt *CorruptError
	if _, err := Open(m, dir, Options{}); !errors.As(err, &corrupt) {
		t.Error(err)
	}
}

// A batch whose own checksums are right is refused all the same if it isn't the one that belongs there.
func TestMisplacedBatch(t *testing.T) {
	for name, change := range map[string]func(b *batchHeader){
		"segment": func(b *batchHeader) { b.segment++ },
		"number":  func(b *batchHeader) { b.seq++ },
		"chain":   func(b *batchHeader) { b.prevCRC ^= 1 },
		"epoch":   func(b *batchHeader) { b.epoch-- },
		"place":   func(b *batchHeader) { b.prev.index-- },
		"term":    func(b *batchHeader) { b.prev.term++ },
	} {
		h := damaged(t, true, 9)
		h.forge(t, 4, change)
		var corrupt *CorruptError
		if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := damaged(t, true, 9)
	ours := h.o.Identity
	h.o.Identity[1]++
	h.forge(t, 4, func(*batchHeader) {}) // as another server would have written it
	h.o.Identity = ours
	var corrupt *CorruptError
	if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) {
		t.Errorf("another log's batch: %v", err)
	}
}

// That a log was closed says nothing about what was written after it was opened again, nor that its end is there.
func TestCorruptionAfterClose(t *testing.T) {
	for _, index := range []uint64{11, 12, 14} {
		h := damaged(t, true, 0)
		h.close()
		if index > 11 {
			h.open()
			h.append(12, 1, 20)
			h.append(13, 1, 20)
			h.append(14, 1, 20)
			h.append(15, 1, 20)
		}
		name, off := h.where(index)
		must(t, h.mem.Zero(name, off, vfs.SectorSize))
		var corrupt *CorruptError
		if _, err := Open(h.mem, dir, h.o); !errors.As(err, &corrupt) || corrupt.Offset != off {
			t.Errorf("entry %d: %v", index, err)
		}
	}
}

// A batch that was cut because the one before it was torn stays cut, also when that one is written again, bit by bit the same.
func TestCutBatchStaysCut(t *testing.T) {
	h := newHarness(t, vfs.NewMem(1), Options{})
	h.bootstrap()
	h.append(2, 1, 10)
	torn, after := h.entries(3, 1, 10), h.entries(4, 1, 10)
	h.write(&Record{Entries: torn})
	off := h.log.writer.off
	h.write(&Record{Entries: after})
	name := path.Join(dir, h.log.writer.cur.name)
	must(t, h.mem.Zero(name, off-blockSize, vfs.SectorSize)) // it did not reach the disk, the one after it did
	for range 3 {
		h.open()
		if r := h.log.Recovered(); h.log.terms.last != 2 || r.Batches != 2 {
			t.Fatalf("the log ends at %d, recovered %+v", h.log.terms.last, r)
		}
		h.write(&Record{Entries: torn})
		h.open()
		if h.log.terms.last != 3 {
			t.Fatalf("the log ends at %d", h.log.terms.last)
		}
		must(t, h.mem.Zero(name, off-blockSize, vfs.SectorSize))
		h.states = h.states[:1]
		h.states[0].ents = h.states[0].ents[:1]
		must(t, h.mem.Zero(path.Join(dir, watermarkName), int64(h.log.mark.counter%2)*blockSize, blockSize)) // it says that 3 is durable
	}
}

// The watermark's slots are written in turns: the loss of the newer one leaves the older.
func TestWatermarkSlots(t *testing.T) {
	h := damaged(t, true, 11)
	h.append(12, 1, 10)
	h.watermark()
	for n, want := range []uint64{12, 11, 0} { // the last one is from when the log was made
		if n > 0 {
			must(t, h.mem.Zero(path.Join(dir, watermarkName), int64((h.log.mark.counter-uint64(n)+1)%2)*blockSize, blockSize))
		}
		m, err := openWatermark(h.log.segs, h.log.writer.seed)
		if corrupt := (*CorruptError)(nil); want == 0 && errors.As(err, &corrupt) {
			continue
		}
		must(t, err)
		if m.seq != want {
			t.Errorf("with %d slots lost: %d, want %d", n, m.seq, want)
		}
	}
}
