package peer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"testing"
	"time"
)

func TestHelloCheck(t *testing.T) {
	own := identity{raftID: id1, clusterID: 0xc1}
	good := hello{purpose: purposeMessages, from: 2, to: 1, identity: identity{raftID: id2, clusterID: 0xc1}}
	for _, c := range []struct {
		name   string
		change func(h *hello)
		want   Refusal
	}{
		{"good", func(*hello) {}, 0},
		{"snapshot", func(h *hello) { h.purpose = purposeSnapshot }, 0},
		{"not a member yet", func(h *hello) { h.raftID, h.clusterID = 0, 0 }, 0},
		{"another purpose", func(h *hello) { h.purpose = 3 }, RefusedPurpose},
		{"meant for another", func(h *hello) { h.to = 3 }, RefusedServer},
		{"server 0", func(h *hello) { h.from, h.raftID = 0, 0 }, RefusedIdentity},
		{"raft id of another", func(h *hello) { h.raftID = 3<<48 | 1 }, RefusedIdentity},
		{"own server id", func(h *hello) { h.from, h.raftID = 1, id1 }, RefusedIdentity},
		{"another cluster", func(h *hello) { h.clusterID = 0xc2 }, RefusedCluster},
	} {
		h := good
		c.change(&h)
		refused := h.check(1, own)
		if c.want == 0 && refused != nil || c.want != 0 && (refused == nil || refused.Refusal != c.want) {
			t.Errorf("%s: %v, want %d", c.name, refused, c.want)
		}
	}
	if h := good; h.check(1, identity{}) != nil {
		t.Error("a server that knows no cluster refuses one of it")
	}
}

func TestHelloGolden(t *testing.T) {
	h := hello{purpose: purposeMessages, from: 1, to: 2, identity: identity{raftID: id1, clusterID: 0xc1}}
	want := unhex(t, "6770687270656572 0100 1500 01 0100 0200 a100000000000100 c100000000000000")
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(want, castagnoli))
	if got := appendHello(h); !bytes.Equal(got, want) {
		t.Errorf("hello\n%x, want\n%x", got, want)
	}
	got, err := readHello(bytes.NewReader(want))
	if err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	want = unhex(t, "6770687270656572 0100 0200 0000")
	want = binary.LittleEndian.AppendUint32(want, crc32.Checksum(want, castagnoli))
	if got := appendAnswer(nil); !bytes.Equal(got, want) {
		t.Errorf("answer\n%x, want\n%x", got, want)
	}
}

func TestAnswers(t *testing.T) {
	long := &RefusedError{Refusal: RefusedCluster, Reason: strings.Repeat("long ", 1000)}
	if err := readAnswer(bytes.NewReader(appendAnswer(long))); err == nil || err.Error() != "peer: refused: "+long.Reason[:maxReasonBytes] {
		t.Errorf("a long refusal reads as %v", err)
	}
	other := appendAnswer(nil)
	other[8] = 2
	sealGreeting(other)
	if err := readAnswer(bytes.NewReader(other)); refusalOf(err) != RefusedVersion {
		t.Errorf("an answer of another version reads as %v", err)
	}
	for n := range other {
		if err := readAnswer(bytes.NewReader(other[:n])); err == nil {
			t.Errorf("an answer cut to %d bytes reads well", n)
		}
	}
}

func sealGreeting(b []byte) {
	end := len(b) - 4
	binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
}

func FuzzGreeting(f *testing.F) {
	f.Add(appendHello(hello{purpose: purposeSnapshot, from: 1, to: 2}))
	f.Add(appendAnswer(&RefusedError{Refusal: RefusedBusy, Reason: "busy"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := readHello(bytes.NewReader(b)); err == nil && !bytes.HasPrefix(b, appendHello(h)) {
			t.Fatalf("%x reads as %+v", b, h)
		}
		readAnswer(bytes.NewReader(b))
	})
}

// What does not fit is refused with a reason in both logs; what is no peer is closed. The server goes on.
func TestHostileHandshakes(t *testing.T) {
	a := start(t, 1, func(c *Config, _ *recorder) { c.HandshakeTimeout = 500 * time.Millisecond })
	good := appendHello(hello{purpose: purposeMessages, from: 2, to: 1, identity: identity{clusterID: 0xc1}})
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		sealGreeting(b)
		return b
	}
	for _, c := range []struct {
		name    string
		bytes   []byte
		refusal Refusal // 0: closed without a word
		logged  string
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0, "not a Gopherwood peer"},
		{"version 2", change(func(b []byte) { b[8] = 2 }), RefusedVersion, "version 2; this server speaks 1"},
		{"cluster", change(func(b []byte) { b[25] = 0xc2 }), RefusedCluster, "of cluster c1, server 2 of cluster"},
		{"server", change(func(b []byte) { b[15] = 9 }), RefusedServer, "this is server 1, not 9"},
		{"cluster, for a snapshot", change(func(b []byte) { b[12], b[25] = 2, 0xc2 }), RefusedCluster, "of cluster c1, server 2 of cluster"},
		{"own id", change(func(b []byte) { b[13] = 1 }), RefusedIdentity, "two servers have the same id"},
		{"purpose", change(func(b []byte) { b[12] = 9 }), RefusedPurpose, "purpose 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dialRaw(t, a.addr())
			if _, err := conn.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			answer := wantClosed(t, conn)
			conn.Close()
			if c.refusal == 0 && len(answer) != 0 {
				t.Errorf("answered %x", answer)
			}
			if c.refusal != 0 {
				if err := readAnswer(bytes.NewReader(answer)); refusalOf(err) != c.refusal || !strings.Contains(err.Error(), c.logged) {
					t.Errorf("answered %v", err)
				}
			}
			a.log.wantLine(t, "refused a connection", c.logged)
		})
	}
	for name, b := range map[string][]byte{
		"checksum":  append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"nothing":   nil,
		"part":      good[:11],
		"long":      change(func(b []byte) { b[10], b[11] = 0xff, 0xff }),
		"too short": appendGreeting([]byte{1}),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, a.addr())
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if answer := wantClosed(t, conn); len(answer) != 0 { // at the latest when the time for the handshake is over
				t.Errorf("answered %x", answer)
			}
		})
	}
	dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "up 2 2-a2")
}

// The same refusal again and again is one line.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	a := start(t, 1, nil)
	for range 10 {
		conn := dialRaw(t, a.addr())
		fmt.Fprintf(conn, "hello, is this a peer?")
		wantClosed(t, conn)
	}
	a.log.wantLine(t, "not a Gopherwood peer")
	if n := strings.Count(a.log.String(), "not a Gopherwood peer"); n != 1 {
		t.Errorf("%d lines:\n%s", n, a.log)
	}
	for i := range 10 * maxRefusalsKept {
		a.tellRefusal(refusalKey{server: uint16(i)})
	}
	if len(a.refusals) > maxRefusalsKept {
		t.Errorf("%d refusals kept", len(a.refusals))
	}
}

// A bad frame ends its connection, with a line in the log; the messages before it were delivered, and others are not harmed.
func TestHostileFrames(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 3, nil)
	link(t, a, b)
	a.wantEvents(t, "up 3 3-a3")
	heartbeat := appendFrame(nil, benchMessages()["Heartbeat"])
	flipped := bytes.Clone(heartbeat)
	flipped[20] ^= 1
	kind9 := append(make([]byte, frameHeaderBytes), bytes.Repeat([]byte{9}, 17)...)
	sealFrame(kind9)
	for _, c := range []struct {
		bytes  []byte
		logged string
	}{
		{flipped, "checksum"},
		{kind9, "kind 9"},
		{bytes.Repeat([]byte{0}, 100), "frame of 0 bytes"},
		{bytes.Repeat([]byte{0xff}, 100), "frame of 4294967295 bytes"},
	} {
		conn := dialGreeted(t, a, purposeMessages)
		a.wantEvents(t, "up 2 2-a2")
		if _, err := conn.Write(append(bytes.Clone(heartbeat), c.bytes...)); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, conn)
		receive(t, a.messages, "message before the bad frame")
		a.wantEvents(t, "down 2 2-a2")
		a.log.wantLine(t, "peer: down", "from=2", c.logged)
	}
	if !b.Send(1, numbered(1)) {
		t.Error("another peer's connection was harmed")
	}
	receive(t, a.messages, "message from another peer")
}

func TestInboundIsBounded(t *testing.T) {
	a := start(t, 1, func(c *Config, _ *recorder) { c.MaxInbound = 3 })
	var idle []net.Conn
	for range 3 {
		idle = append(idle, dialRaw(t, a.addr()))
	}
	eventually(t, "full", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.accepted) == 3
	})
	wantClosed(t, dialRaw(t, a.addr()))
	a.log.wantLine(t, "refused", "3 connections from peers already")
	idle[0].Close()
	eventually(t, "room", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.accepted) == 2
	})
	dialGreeted(t, a, purposeMessages)
	a.wantEvents(t, "up 2 2-a2")
}
