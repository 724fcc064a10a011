package peer

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// benchMessages are what travels most.
func benchMessages() map[string]*Message {
	raftMessage := func(typ pb.MessageType) *pb.Message {
		return &pb.Message{Type: typ.Enum(), To: new(uint64(id2)), From: new(uint64(id1)), Term: new(uint64(5)),
			Index: new(uint64(1 << 20)), Commit: new(uint64(1 << 20))}
	}
	app := raftMessage(pb.MsgApp)
	app.LogTerm = new(uint64(5))
	app.Entries = []*pb.Entry{{Term: new(uint64(5)), Index: new(uint64(1<<20 + 1)), Data: make([]byte, 12<<10)}}
	origin := OriginBatch{Origin: id1, First: 1 << 20, Count: 64}
	for range origin.Count {
		origin.Data = AppendCommand(origin.Data, make([]byte, 150))
	}
	return map[string]*Message{
		"App12k":    {Kind: KindRaft, From: id1, To: id2, Raft: app},
		"AppResp":   {Kind: KindRaft, From: id1, To: id2, Raft: raftMessage(pb.MsgAppResp)},
		"Heartbeat": {Kind: KindRaft, From: id1, To: id2, Raft: raftMessage(pb.MsgHeartbeat)},
		"Origin64":  {Kind: KindOrigin, From: id1, To: id2, Origin: origin},
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = appendFrame(buf[:0], m)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			buf := AppendMessage(nil, m)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decodeShared(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkProtobuf is what the hand-written codec is measured against.
func BenchmarkProtobuf(b *testing.B) {
	for name, m := range benchMessages() {
		if m.Raft == nil {
			continue
		}
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = (proto.MarshalOptions{}).MarshalAppend(buf[:0], m.Raft); err != nil {
					b.Fatal(err)
				}
				if err := proto.Unmarshal(buf, &pb.Message{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
