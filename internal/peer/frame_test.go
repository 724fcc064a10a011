package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	pb "go.etcd.io/raft/v3/raftpb"
	"pgregory.net/rapid"
)

// chopped yields a stream in pieces of random length.
type chopped struct {
	b   []byte
	rng *rand.Rand
	max int
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), 1+c.rng.IntN(c.max))])
	c.b = c.b[n:]
	return n, nil
}

// bigMessage has an entry of n bytes.
func bigMessage(n int) *Message {
	data := bytes.Repeat([]byte("gopher"), n/6+1)[:n]
	return &Message{Kind: KindRaft, From: id1, To: id2, Raft: &pb.Message{Type: pb.MsgApp.Enum(),
		Entries: []*pb.Entry{{Index: new(uint64(n)), Data: data}}}}
}

// However a stream is cut into reads, its messages come out whole and in order, and none changes when the buffer is used again.
func TestFrameReaderOverAnyReads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want []*Message
		var stream []byte
		for range rapid.IntRange(1, 20).Draw(rt, "messages") {
			m := drawMessage(rt)
			if rapid.IntRange(0, 4).Draw(rt, "big") == 0 {
				m = bigMessage(rapid.SampledFrom([]int{ownFrameBytes - 60, ownFrameBytes, readBufferBytes, 200_000}).Draw(rt, "bytes"))
			}
			want = append(want, m)
			stream = appendFrame(stream, m)
		}
		r := newFrameReader(&chopped{b: stream, rng: rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed"))),
			max: rapid.SampledFrom([]int{1, 9, 5000, 1 << 20}).Draw(rt, "most")})
		var got []*Message
		for {
			m, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				rt.Fatalf("after %d of %d messages: %v", len(got), len(want), err)
			}
			got = append(got, m)
		}
		if len(got) != len(want) {
			rt.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i := range want {
			checkEqual(rt, got[i], want[i])
		}
	})
}

func TestFrameReaderErrors(t *testing.T) {
	heartbeat := appendFrame(nil, benchMessages()["Heartbeat"])
	big := appendFrame(nil, bigMessage(100_000))
	length := func(n uint32) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, n), bytes.Repeat([]byte{0}, 100)...)
	}
	flipped := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0x10
		return b
	}
	malformed := append(make([]byte, frameHeaderBytes), 9)
	sealFrame(malformed)
	for _, c := range []struct {
		name   string
		stream []byte
		want   error  // in the chain, or
		says   string // in the text
	}{
		{"nothing", nil, io.EOF, ""},
		{"cut in the header", heartbeat[:5], io.ErrUnexpectedEOF, ""},
		{"cut after the header", heartbeat[:8], io.ErrUnexpectedEOF, ""},
		{"cut in the body", heartbeat[:20], io.ErrUnexpectedEOF, ""},
		{"cut in a long body", big[:90_000], io.ErrUnexpectedEOF, ""},
		{"cut at the start of a long body", big[:8], io.ErrUnexpectedEOF, ""},
		{"empty frame", length(0), nil, "frame of 0 bytes"},
		{"frame of 4 GiB", length(1<<32 - 1), nil, "frame of 4294967295 bytes"},
		{"frame one byte too long", length(MaxMessageBytes + 1), nil, "frame of 8388609 bytes"},
		{"flip in a body", flipped(heartbeat, 30), errChecksum, ""},
		{"flip in a checksum", flipped(heartbeat, 5), errChecksum, ""},
		{"flip in a long body", flipped(big, 70_000), errChecksum, ""},
		{"checksum right, message wrong", malformed, ErrMalformed, ""},
	} {
		for _, lead := range [][]byte{nil, heartbeat} {
			r := newFrameReader(iotest.HalfReader(bytes.NewReader(append(bytes.Clone(lead), c.stream...))))
			if lead != nil {
				if _, err := r.next(); err != nil {
					t.Fatal(err)
				}
			}
			m, err := r.next()
			if m != nil || err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, %v; want %v %q", c.name, m, err, c.want, c.says)
			}
		}
	}
}

func FuzzFrameReader(f *testing.F) {
	var all []byte
	for _, g := range goldens {
		f.Add(appendFrame(nil, g.m))
		all = appendFrame(all, g.m)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := newFrameReader(bytes.NewReader(stream))
		var again []byte
		for {
			m, err := r.next()
			if err != nil {
				break
			}
			again = appendFrame(again, m)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatalf("%x gave the messages of %x", stream, again)
		}
	})
}
