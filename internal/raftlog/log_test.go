package raftlog

import (
	"fmt"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/vfs"
)

func ents(term, from, to uint64) []*pb.Entry {
	var es []*pb.Entry
	for i := from; i <= to; i++ {
		es = append(es, &pb.Entry{Index: new(i), Term: new(term), Type: new(pb.EntryNormal), Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return es
}

func TestSmoke(t *testing.T) {
	for _, direct := range []bool{false, true} {
		m := vfs.NewMem(1)
		m.SetDirect(direct)
		l, err := Open(m, "d", Options{FirstSegmentBytes: 16 << 10})
		if err != nil {
			t.Fatal(err)
		}
		meta := &pb.SnapshotMetadata{Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}}
		recs := []*Record{{Snapshot: meta, HardState: &pb.HardState{Term: new(uint64(1)), Vote: new(uint64(0)), Commit: new(uint64(1))}}}
		for i := uint64(2); i < 100; i += 2 {
			recs = append(recs, &Record{Entries: ents(1, i, i+1)})
		}
		for _, r := range recs {
			if err := l.Writer().Write([]*Record{r}); err != nil {
				t.Fatal(err)
			}
			if err := l.Writer().Sync(); err != nil {
				t.Fatal(err)
			}
			l.Stable(r)
		}
		for range 2 {
			es, err := l.Entries(2, 100, 1<<30)
			if err != nil || len(es) != 98 {
				t.Fatal(len(es), err)
			}
			last, _ := l.LastIndex()
			if last != 99 {
				t.Fatal(last)
			}
			l, err = Open(m.Crash(nil), "d", Options{})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
