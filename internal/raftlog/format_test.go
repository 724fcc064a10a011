package raftlog

import (
	"encoding/hex"
	"io"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

// TestFormat pins the bytes that docs/format/log.md and snapshot-file.md draw. A log that an earlier version wrote must stay readable: when this
// test has to change, so has a magic.
func TestFormat(t *testing.T) {
	m := vfs.NewMem(1)
	id := Identity{0x10, 0x11, 0x12, 15: 0x1f}
	l, err := Open(m, dir, Options{Identity: id})
	must(t, err)
	snap := &pb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{300}, AutoLeave: new(true)}}
	put(t, l, &Record{Snapshot: snap, HardState: hard(1, 0, 1)})
	put(t, l, &Record{HardState: hard(3, 2, 1), Entries: []*pb.Entry{
		{Index: new(uint64(2)), Term: new(uint64(2)), Type: new(pb.EntryNormal)},
		{Index: new(uint64(3)), Term: new(uint64(3)), Type: new(pb.EntryConfChangeV2), Data: []byte("xyz")},
		{Index: new(uint64(4)), Term: new(uint64(3)), Type: new(pb.EntryNormal), Data: []byte{}},
	}}, &Record{})
	must(t, l.Watermark())
	writeSnapshot(t, l, snap, nil, 1)
	for _, c := range []struct {
		what, name string
		off        int64
		want       string
	}{
		{"segment header", "0000000000000001.log", 0, "47574731 92123518 10111200000000000000 00000000001f 0100000000000000"},
		{"first batch", "0000000000000001.log", blockSize, `47574231 14ccdfb9 04ff62ec 0c000000 00000000 01000000
			0100000000000000 0100000000000000 0000000000000000 0100000000000000 0000000000000000 0100000000000000
			0000000000000000 0000000000000000 0000000000000000 01 01 01 01 020102 01ac02 00 00`},
		{"second batch", "0000000000000001.log", 2 * blockSize, `47574231 0a5cde21 860be8cd 0e000000 14ccdfb9 01000000
			0100000000000000 0200000000000000 0100000000000000 0300000000000000 0200000000000000 0100000000000000
			0100000000000000 0100000000000000 0000000000000000 02 02 02 03 0000 0604 78797a 0001 00`},
		{"watermark, first slot", "watermark", 0, "47575731 4e60f0c1 0200000000000000 0200000000000000 01000000 00"},
		{"watermark, second slot", "watermark", blockSize, "47575731 fee268f6 0100000000000000 0000000000000000 01000000 00"},
		{"snapshot", "0000000000000001.snap", 0, "47574e31 0b000000 9128a25c 01 01 01 020102 01ac02 00 00 00000000 00000000 d84aedf7"},
	} {
		f, err := m.Open(dir + "/" + c.name)
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, min(blockSize, size-c.off))
		if _, err := f.ReadAt(b, c.off); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(c.want))
		must(t, err)
		if got := strings.TrimRight(string(b), "\x00"); got != strings.TrimRight(string(want), "\x00") {
			t.Errorf("%s:\n%x\nwant\n%x", c.what, got, want)
		}
	}
}
