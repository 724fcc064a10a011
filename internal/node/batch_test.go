package node

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/peer"
)

func commands(from, to int) []byte {
	var b []byte
	for i := from; i <= to; i++ {
		s := fmt.Sprint(i)
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// Each row is what arrives in one entry after numbers 1 to 3 of origin 1<<48|5 were applied.
func TestOnlyTheNextNumberApplies(t *testing.T) {
	for _, tt := range []struct {
		name        string
		origin      uint64
		first, last int
		want        []string
	}{
		{"next", 5, 4, 5, []string{"4", "5"}},
		{"repeat", 5, 1, 3, nil},
		{"overlap", 5, 2, 5, []string{"4", "5"}},
		{"gap", 5, 5, 6, nil},
		{"later start", 6, 1, 2, []string{"1", "2"}},
		{"later start, gap", 6, 2, 3, nil},
		{"earlier start", 4, 1, 2, nil},
		{"earlier start, next", 4, 4, 4, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCluster(t, 1)
			n, sm := c.members[0].node, c.members[0].sm
			n.origin.id = MakeID(9, 1) // another server's commands
			n.state.advance(MakeID(1, 5), 3)
			s := segment{origin: MakeID(1, tt.origin), first: uint64(tt.first), count: uint64(tt.last - tt.first + 1), data: commands(tt.first, tt.last)}
			n.applyBatch(&pb.Entry{Data: appendSegment(appendBatchHeader(nil, 1000), &s)})
			if d := cmp.Diff(tt.want, sm.commands); d != "" {
				t.Error(d)
			}
			if n.state.timeMs != 1000 {
				t.Errorf("time %d", n.state.timeMs)
			}
		})
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	c := newCluster(t, 1)
	n := c.members[0].node
	for _, ms := range []int64{1000, 900, 1001} {
		n.applyBatch(&pb.Entry{Data: appendBatchHeader(nil, ms)})
		if n.state.timeMs < 1000 {
			t.Errorf("after a stamp of %d the time is %d", ms, n.state.timeMs)
		}
	}
}

func FuzzBatch(f *testing.F) {
	good := appendSegment(appendBatchHeader(nil, 5), &segment{origin: MakeID(1, 2), first: 1, count: 2, data: commands(1, 2)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{1})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readBatch(b)
		if err != nil {
			return
		}
		again := appendBatchHeader(nil, r.timeMs)
		var s segment
		for {
			more, err := r.next(&s)
			if err != nil {
				return
			}
			if !more {
				break
			}
			again = appendSegment(again, &s)
			if s.last() < s.first {
				t.Fatalf("segment %d..%d", s.first, s.last())
			}
			end := s
			_ = end.skipTo(s.last() + 1) // must not panic
		}
		if len(again) > len(b) {
			t.Fatalf("a batch of %d bytes was read as one of %d", len(b), len(again))
		}
	})
}

func stateOf(b []byte) (*State, error) { return readState(&sliceReader{b}) }

type sliceReader struct{ b []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	n := copy(p, r.b)
	r.b = r.b[n:]
	if n == 0 {
		return 0, fmt.Errorf("end")
	}
	return n, nil
}

func TestStateRoundTrip(t *testing.T) {
	s := &State{timeMs: 12345}
	s.advance(MakeID(3, 1), 17)
	s.advance(MakeID(1, 9), 4)
	s.advance(MakeID(3, 2), 1)
	s.setMember(peer.Member{RaftID: MakeID(2, 2), ServerID: 2, PeerAddr: "b:1", ClientAddr: "b:2"})
	s.setMember(peer.Member{RaftID: MakeID(1, 2), ServerID: 1, Learner: true})
	got, err := stateOf(s.append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, got, cmp.AllowUnexported(State{}, originState{})); d != "" {
		t.Error(d)
	}
	if next, ok := got.next(MakeID(3, 2)); next != 2 || !ok {
		t.Errorf("next = %d, %v", next, ok)
	}
}

func FuzzState(f *testing.F) {
	s := &State{timeMs: 1}
	s.advance(MakeID(3, 1), 17)
	s.setMember(peer.Member{RaftID: MakeID(2, 2), PeerAddr: "b:1"})
	f.Add(s.append(nil))
	f.Add([]byte{9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := stateOf(b); err == nil && len(s.origins)+len(s.members) > len(b) {
			t.Fatal("more things than bytes")
		}
	})
}
