package peer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

const (
	id1 = 1<<48 | 0xa1 // raft id of server 1 in the tests
	id2 = 2<<48 | 0xa2
)

// goldens are messages with their encoding; the spaces are for the reader.
var goldens = []struct {
	name string
	m    *Message
	hex  string
}{
	{"heartbeat", &Message{Kind: KindRaft, From: id1, To: id2, Raft: &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), To: new(uint64(id2)), From: new(uint64(id1)), Term: new(uint64(5)), Commit: new(uint64(300)),
	}}, "01 a100000000000100 a200000000000200 c903 08 00 00 05 ac02"},
	{"append", &Message{Kind: KindRaft, From: id1, To: id2, Raft: &pb.Message{
		Type: pb.MsgApp.Enum(), To: new(uint64(id2)), From: new(uint64(id1)), Term: new(uint64(5)), LogTerm: new(uint64(4)),
		Index: new(uint64(9)), Commit: new(uint64(8)), Entries: []*pb.Entry{
			{Term: new(uint64(5)), Index: new(uint64(10)), Data: []byte("ark")},
			{Term: new(uint64(5)), Index: new(uint64(11)), Type: pb.EntryConfChangeV2.Enum(), Data: []byte{}},
			{},
		},
	}}, "01 a100000000000100 a200000000000200 df03 03 00 00 05 04 09 08 03 0b050a0361726b 0f050b0200 00"},
	{"reject", &Message{Kind: KindRaft, From: id2, To: id1, Raft: &pb.Message{
		Type: pb.MsgAppResp.Enum(), To: new(uint64(id1)), From: new(uint64(id2)), Index: new(uint64(9)), Reject: new(true),
		RejectHint: new(uint64(7)), Vote: new(uint64(id1)), Context: []byte{1, 2},
	}}, "01 a200000000000200 a100000000000100 e43f 04 00 00 09 a100000000000100 07 020102"},
	{"snapshot", &Message{Kind: KindRaft, From: id1, To: id2, Raft: &pb.Message{
		Type: pb.MsgSnap.Enum(), To: new(uint64(0)), Reject: new(false), Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: new(uint64(77)), Term: new(uint64(3)),
			ConfState: &pb.ConfState{Voters: []uint64{id1, id2}, LearnersNext: []uint64{9}, AutoLeave: new(true)},
		}},
	}}, "01 a100000000000100 a200000000000200 c04a 07 a281808080808001 77 4d 03" +
		"02 a100000000000100 a200000000000200 00 00 01 0900000000000000"},
	{"origin", &Message{Kind: KindOrigin, From: id2, To: id1, Origin: OriginBatch{
		Origin: id2, First: 1000, Count: 2, Data: AppendCommand(AppendCommand(nil, []byte("ab")), nil), Ack: 998,
	}}, "02 a200000000000200 a100000000000100 a200000000000200 e807 e607 02 04 026162 00"},
	{"app", &Message{Kind: KindApp, From: id2, To: id1, App: []byte("touch")},
		"03 a200000000000200 a100000000000100 05 746f756368"},
	{"probe", &Message{Kind: KindProbe, From: id1, Probe: Probe{
		Established: true, ClusterID: 0xc1, RaftID: id1, Leader: id2, Term: 5, Commit: 300,
		Members: []Member{{ServerID: 1, RaftID: id1, PeerAddr: "a:1", ClientAddr: "a:2"}, {ServerID: 3, Learner: true, Observer: true}},
	}}, "04 a100000000000100 0000000000000000 01 c100000000000000 a100000000000100 a200000000000200 05 ac02 02" +
		"0100 a100000000000100 03613a31 03613a32 00 00  0300 0000000000000000 00 00 01 01"},
	{"probe reply", &Message{Kind: KindProbeReply},
		"05 0000000000000000 0000000000000000 00 0000000000000000 0000000000000000 0000000000000000 00 00 00"},
	{"join", &Message{Kind: KindJoin, To: id1, Join: Join{Member: Member{ServerID: 2, PeerAddr: "b:1"}}},
		"06 0000000000000000 a100000000000100 0200 0000000000000000 03623a31 00 00 00 00 00 0000000000000000"},
	{"join reply", &Message{Kind: KindJoinReply, From: id1, Join: Join{OK: true, Reason: "no", ClusterID: 0xc1}},
		"07 a100000000000100 0000000000000000 0000 0000000000000000 00 00 00 00 01 026e6f c100000000000000"},
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldens(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.name, func(t *testing.T) {
			want := unhex(t, g.hex)
			if got := AppendMessage([]byte("before"), g.m); !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Errorf("encoded\n%x, want\n%x", got[len("before"):], want)
			}
			got, err := DecodeMessage(want)
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got, g.m)
		})
	}
}

// Every prefix of a message, and a message with a byte after it, is an error that says so.
func TestDecodeCutOrExtended(t *testing.T) {
	for _, g := range goldens {
		b := unhex(t, g.hex)
		for n := range b {
			if m, err := DecodeMessage(bytes.Clone(b[:n])); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d bytes: %v, %v", g.name, n, m, err)
			}
		}
		if m, err := DecodeMessage(append(b, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s extended: %v, %v", g.name, m, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const ids = "a100000000000100 a200000000000200"
	for _, c := range []struct{ name, hex, says string }{
		{"kind 0", "00" + ids, "kind 0"},
		{"kind 8", "08" + ids, "kind 8"},
		{"unknown raft flag", "01" + ids + "808001", "raft flags 0x4000"},
		{"rejected without reject", "01" + ids + "8010", "raft flags"},
		{"local raft message", "01" + ids + "8002 13", "type 19"},
		{"no raft type, that is MsgHup", "01" + ids + "00", "type 0"},
		{"unknown raft type", "01" + ids + "8002 18", "type 24"},
		{"unknown entry flag", "01" + ids + "9002 03 01 10", "entry flags"},
		{"unknown entry type", "01" + ids + "9002 03 01 04 03", "entry type 3"},
		{"entries that are none", "01" + ids + "9002 03 00", "no entries"},
		{"more entries than bytes", "01" + ids + "9002 03 7f 00", "127 entries in 1 bytes"},
		{"unknown snapshot flag", "01" + ids + "8042 07 80", "snapshot flags"},
		{"index of no metadata", "01" + ids + "8042 07 02 01", "snapshot flags"},
		{"configuration of no metadata", "01" + ids + "8042 07 10 00 00 00 00", "snapshot flags"},
		{"automatic leave of no configuration", "01" + ids + "8042 07 21 00 00 00 00", "snapshot flags"},
		{"number in a longer form", "01" + ids + "8102 08 8500", "shortest form"},
		{"number without end", "01" + ids + "8102 08 ffffffffffffffffffff7f", "number"},
		{"boolean 2", "04" + ids + "02", "boolean"},
		{"more members than bytes", "04" + ids + "00" + strings.Repeat("00", 24) + "0000 05", "5 members"},
		{"address too long", "06" + ids + strings.Repeat("00", 10) + "8104" + strings.Repeat("41", 513), "513 bytes of text"},
		{"command longer than the data", "02" + ids + strings.Repeat("00", 8) + "0100 01 01 05", "not 1 commands"},
		{"data longer than the commands", "02" + ids + strings.Repeat("00", 8) + "0100 01 02 0000", "not 1 commands"},
		{"command numbers that overflow", "02" + ids + strings.Repeat("00", 8) + "ffffffffffffffffff01 00 01 01 00", "from number"},
	} {
		m, err := DecodeMessage(unhex(t, c.hex))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want an error that says %q", c.name, m, err, c.says)
		}
	}
}

func TestAppendPanicsOnWhatIsNotForPeers(t *testing.T) {
	for name, m := range map[string]*Message{
		"no kind":         {},
		"no raft message": {Kind: KindRaft},
		"local":           {Kind: KindRaft, Raft: &pb.Message{Type: pb.MsgStorageAppend.Enum()}},
		"responses":       {Kind: KindRaft, Raft: &pb.Message{Type: pb.MsgApp.Enum(), Responses: []*pb.Message{{}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: encoded", name)
				}
			}()
			AppendMessage(nil, m)
		}()
	}
}

// A few bytes must not make the decoder allocate what they only announce.
func TestDecodeAllocatesWhatIsThere(t *testing.T) {
	hostile := [][]byte{
		unhex(t, "01 a100000000000100 a200000000000200 9002 03 ffffffff0f 00"),
		unhex(t, "03 a100000000000100 a200000000000200 ffffffff7f"),
		unhex(t, "04 a100000000000100 a200000000000200 00"+strings.Repeat("00", 24)+"0000 ffffffff7f"),
		unhex(t, "02 a100000000000100 a200000000000200 a100000000000100 01 00 ffffffff07 00"),
		unhex(t, "01 a100000000000100 a200000000000200 8042 07 11 ffff7f"),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		for _, b := range hostile {
			if _, err := DecodeMessage(b); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%x: %v", b, err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 100*uint64(len(hostile))*4096 {
		t.Errorf("%d bytes allocated for %d decodes", got, 100*len(hostile))
	}
	long := make([]byte, MaxMessageBytes+1)
	if _, err := DecodeMessage(long); !errors.Is(err, ErrMalformed) {
		t.Errorf("message of %d bytes: %v", len(long), err)
	}
}

func TestCommands(t *testing.T) {
	b := OriginBatch{First: 7}
	for _, c := range []string{"a", "", strings.Repeat("x", 300)} {
		b.Data = AppendCommand(b.Data, []byte(c))
		b.Count++
	}
	var got []string
	for number, c := range b.Commands() {
		got = append(got, string(rune('0'+number))+string(c[:min(len(c), 2)]))
	}
	if s := strings.Join(got, " "); s != "7a 8 9xx" {
		t.Errorf("commands %q", s)
	}
	for range b.Commands() {
		break
	}
	b.Data = b.Data[:len(b.Data)-1]
	n := 0
	for range b.Commands() {
		n++
	}
	if n != 2 {
		t.Errorf("%d commands of cut data; want 2", n)
	}
}

func TestFormatRaftID(t *testing.T) {
	if got := FormatRaftID(id2) + " " + FormatRaftID(0); got != "2-a2 none" {
		t.Error(got)
	}
}

// What is encoded decodes to itself, through either decoder, and the shared one keeps nothing of the buffer.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMessage(t)
		b := AppendMessage(nil, m)
		owned, err := DecodeMessage(bytes.Clone(b))
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		checkEqual(t, owned, m)
		reused := bytes.Clone(b)
		shared, err := decodeShared(reused)
		if err != nil {
			t.Fatal(err)
		}
		for i := range reused {
			reused[i] = 0xee
		}
		checkEqual(t, shared, m)
		if again := AppendMessage(nil, shared); !bytes.Equal(again, b) {
			t.Fatalf("encoded again\n%x, want\n%x", again, b)
		}
	})
}

// FuzzDecode: no panic, and what decodes has that one encoding.
func FuzzDecode(f *testing.F) {
	for _, g := range goldens {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		m, err := decodeShared(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || m != nil {
				t.Fatalf("%v, %v", m, err)
			}
			return
		}
		if again := AppendMessage(nil, m); !bytes.Equal(again, before) {
			t.Fatalf("%x encodes to %x", before, again)
		}
	})
}

// fataler is what testing.T and rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func checkEqual(t fataler, got, want *Message) {
	t.Helper()
	if (got.Raft == nil) != (want.Raft == nil) || got.Raft != nil && !proto.Equal(got.Raft, want.Raft) {
		t.Fatalf("raft message\n%v, want\n%v", got.Raft, want.Raft)
	}
	if got.Kind != want.Kind || got.From != want.From || got.To != want.To || !bytes.Equal(got.App, want.App) {
		t.Fatalf("message\n%+v, want\n%+v", got, want)
	}
	g, w := got.Origin, want.Origin
	if g.Origin != w.Origin || g.First != w.First || g.Count != w.Count || g.Ack != w.Ack || !bytes.Equal(g.Data, w.Data) {
		t.Fatalf("origin batch\n%+v, want\n%+v", g, w)
	}
	if got.Join != want.Join {
		t.Fatalf("join\n%+v, want\n%+v", got.Join, want.Join)
	}
	checkProbe(t, got.Probe, want.Probe)
}

func checkProbe(t fataler, got, want Probe) {
	t.Helper()
	if len(got.Members) != len(want.Members) {
		t.Fatalf("probe\n%+v, want\n%+v", got, want)
	}
	for i := range got.Members {
		if got.Members[i] != want.Members[i] {
			t.Fatalf("member %+v, want %+v", got.Members[i], want.Members[i])
		}
	}
	if got.Established != want.Established || got.ClusterID != want.ClusterID || got.RaftID != want.RaftID ||
		got.Leader != want.Leader || got.Term != want.Term || got.Commit != want.Commit {
		t.Fatalf("probe\n%+v, want\n%+v", got, want)
	}
}
