package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"path"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// rebuilder makes records of what it is told, so that they can be encoded again.
type rebuilder struct{ recs []*Record }

func (v *rebuilder) last() *Record                  { return v.recs[len(v.recs)-1] }
func (v *rebuilder) record(int)                     { v.recs = append(v.recs, &Record{}) }
func (v *rebuilder) restart(m *pb.SnapshotMetadata) { v.last().Snapshot = m }
func (v *rebuilder) run(uint64, uint64)             {}
func (v *rebuilder) entry(at position, typ pb.EntryType, data []byte) {
	v.last().Entries = append(v.last().Entries, &pb.Entry{Index: &at.index, Term: &at.term, Type: &typ, Data: data})
}

// FuzzPayload: decoding never panics, allocates no more than the bytes justify, and what it accepts is what encoding makes, once encoded anew.
func FuzzPayload(f *testing.F) {
	for _, r := range []*Record{
		{}, {Entries: entries(3, 9, 4, 20)}, {Snapshot: meta(7, 2)}, {Snapshot: meta(7, 2), Entries: entries(1<<40, 1<<50, 2, 40)},
	} {
		b := appendRecord(nil, r)
		f.Add(b)
		f.Add(append(b, b...))
	}
	f.Add([]byte{recordEntries, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v rebuilder
		if err := decodePayload(b, &v); err != nil {
			return
		}
		var again []byte
		for _, r := range v.recs {
			again = appendRecord(again, r)
		}
		var w rebuilder
		if err := decodePayload(again, &w); err != nil || len(w.recs) != len(v.recs) || len(again) > len(b) {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
		var third []byte
		for _, r := range w.recs {
			third = appendRecord(third, r)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("%x and %x", again, third)
		}
	})
}

// FuzzBatchHeader: a header that is accepted is, byte by byte, the one that its fields make.
func FuzzBatchHeader(f *testing.F) {
	h := batchHeader{payloadCRC: 1, payloadLen: 2, prevCRC: 3, epoch: 4, segment: 5, seq: 6, durable: 5, hard: hardState{7, 8, 9}, prev: position{10, 11}}
	b := make([]byte, batchHeaderSize)
	h.put(b, 17)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h batchHeader
		if !h.parse(b, 17) {
			return
		}
		again := make([]byte, batchHeaderSize)
		crc := h.headerCRC
		h.put(again, 17)
		if crc == h.headerCRC && !bytes.Equal(again, b[:batchHeaderSize]) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// FuzzSnapshot: reading a snapshot file never panics; a file that is accepted has a payload that makes a file which is accepted.
func FuzzSnapshot(f *testing.F) {
	m := vfs.NewMem(1)
	l, err := Open(m, dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	for i, payload := range []string{"", "x", string(bytes.Repeat([]byte("state"), 100))} {
		w, err := l.CreateSnapshot(meta(uint64(i+1), 3))
		if err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte(payload)); err != nil {
			f.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			f.Fatal(err)
		}
		file, err := l.OpenSnapshotRaw(uint64(i + 1))
		if err != nil {
			f.Fatal(err)
		}
		b, err := io.ReadAll(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		seal(b)
		meta, err := verifySnapshot(bytes.NewReader(b), "x")
		file, _ := m.Create(path.Join(dir, seqName(99, snapSuffix)))
		_, _ = file.Write(b)
		r, openErr := l.OpenSnapshot(99)
		if openErr != nil {
			if err == nil {
				t.Fatalf("verified but not opened: %v", openErr)
			}
			return
		}
		defer r.Close()
		payload, readErr := io.ReadAll(r)
		if readErr == nil && err != nil {
			t.Fatalf("read but not verified: %v, %v", meta, err)
		}
		if len(payload) > len(b)*70_000 { // a block of zstd's stands for no more
			t.Fatalf("%d bytes of %d", len(payload), len(b))
		}
	})
}

// seal puts right all checksums of a snapshot file, so that what lies behind them is fuzzed too.
func seal(b []byte) {
	le := binary.LittleEndian
	if len(b) < snapHeaderSize {
		return
	}
	n := snapHeaderSize + int(le.Uint32(b[4:]))
	if n > len(b) || n < 0 {
		return
	}
	crc := crc32.Checksum(b[snapHeaderSize:n], castagnoli)
	le.PutUint32(b[8:], crc)
	for b = b[n:]; len(b) >= chunkHeaderSize; b = b[n:] {
		size := int(le.Uint32(b))
		if size == 0 {
			size = snapEndSize
		}
		if n = chunkHeaderSize + size; n > len(b) {
			return
		}
		crc = crc32.Update(crc32.Update(crc, castagnoli, b[:8]), castagnoli, b[chunkHeaderSize:n])
		le.PutUint32(b[8:], crc)
	}
}

// FuzzSegmentHeader: a header that is accepted is, byte by byte, the one that its fields make.
func FuzzSegmentHeader(f *testing.F) {
	b := make([]byte, segmentHeaderSize)
	segmentHeader(b, Identity{1, 2, 3}, 9)
	f.Add(b)
	f.Add(b[:segmentHeaderSize-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= segmentHeaderSize {
			binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:segmentHeaderSize], castagnoli))
		}
		id, seq, ok := parseSegmentHeader(b)
		if !ok {
			return
		}
		again := make([]byte, segmentHeaderSize)
		segmentHeader(again, id, seq)
		if !bytes.Equal(again, b[:segmentHeaderSize]) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

// FuzzWatermark: a slot that is accepted says what writing it anew says.
func FuzzWatermark(f *testing.F) {
	m := watermark{seed: 5, counter: 3, seq: 70, epoch: 2, clean: true}
	b := make([]byte, watermarkSize)
	m.put(b)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < watermarkSize {
			return // the file is read into two blocks
		}
		binary.LittleEndian.PutUint32(b[4:], crc32.Update(5, castagnoli, b[8:watermarkSize]))
		m := watermark{seed: 5}
		if !m.parse(b) {
			return
		}
		again := make([]byte, watermarkSize)
		m.put(again)
		n := watermark{seed: 5}
		if !n.parse(again) || n.counter != m.counter || n.seq != m.seq || n.epoch != m.epoch || n.clean != m.clean {
			t.Fatalf("%x says %+v, written anew %+v", b, &m, &n)
		}
	})
}

// FuzzName: a number is read from a file's name only if it makes that name.
func FuzzName(f *testing.F) {
	f.Add(seqName(1<<40, logSuffix))
	f.Add("+000000000000001.log")
	f.Add("00000000000000GG.log")
	f.Fuzz(func(t *testing.T, name string) {
		for _, suffix := range []string{logSuffix, spareSuffix, snapSuffix} {
			if seq, ok := parseName(name, suffix); ok && seqName(seq, suffix) != name {
				t.Fatalf("%q has number %d", name, seq)
			}
		}
	})
}

// FuzzDamage writes anything anywhere into the files of a durable log. It opens with everything that was in it, or says what is corrupt; it never opens
// with less.
func FuzzDamage(f *testing.F) {
	f.Add(uint8(0), uint32(0), []byte{0})
	f.Add(uint8(1), uint32(blockSize+12), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add(uint8(1), uint32(3*blockSize), make([]byte, blockSize))
	f.Add(uint8(2), uint32(28), []byte{1, 0xff})
	f.Add(uint8(2), uint32(2*blockSize-1), []byte{9})
	f.Fuzz(func(t *testing.T, file uint8, off uint32, patch []byte) {
		h := damaged(t, true, 11)
		m := h.written()
		names, err := h.mem.List(dir)
		must(t, err)
		name := path.Join(dir, names[int(file)%len(names)])
		fl, err := h.mem.Open(name)
		must(t, err)
		size, err := fl.Size()
		must(t, err)
		must(t, fl.Close())
		if int64(off)+int64(len(patch)) > size {
			return
		}
		must(t, h.mem.Scribble(name, int64(off), patch))
		l, err := Open(h.mem, dir, h.o)
		var corrupt *CorruptError
		switch {
		case errors.As(err, &corrupt):
			return
		case err != nil:
			t.Fatalf("%x at %d of %s: %v", patch, off, name, err)
		}
		h.log = l
		if err := h.check(m, true); err != nil {
			t.Fatalf("%x at %d of %s, and the log opens: %v", patch, off, name, err)
		}
	})
}
