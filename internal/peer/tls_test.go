package peer

import (
	"bytes"
	"log/slog"
	"testing"

	"gopherwood/internal/certs"
	"gopherwood/internal/certs/certtest"
)

// withTLS makes a member use a certificate of ca, for hosts (nil: localhost and 127.0.0.1), and trust ca.
func withTLS(t *testing.T, ca, trust *certtest.Authority, hosts []string, change func(*TLS)) func(*Config, *recorder) {
	t.Helper()
	o := certs.Options{CheckClientName: true, Log: slog.New(slog.DiscardHandler)}
	dir := t.TempDir()
	o.Key.File, o.Key.KeyFile = ca.Issue(t, certtest.Leaf{Name: "member", Hosts: hosts}).Files(t, dir, "own")
	o.Trust.File = trust.File(t, dir, "ca.crt")
	source, err := certs.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *Config, _ *recorder) {
		cfg.TLS = &TLS{Source: source, Dial: true}
		if change != nil {
			change(cfg.TLS)
		}
	}
}

// TestTLS: messages and snapshots go through TLS as they go without.
func TestTLS(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	snapshots := make(chan stored, 1)
	protect := withTLS(t, ca, ca, nil, nil)
	a := start(t, 1, protect)
	b := start(t, 2, func(c *Config, r *recorder) { protect(c, r); store(snapshots)(c, r) })
	link(t, a, b)
	for range 1000 {
		if !a.Send(2, &Message{Kind: KindJoin, From: id1, To: id2}) {
			t.Fatal("not sent")
		}
	}
	for range 1000 {
		receive(t, b.messages, "message")
	}
	file := randomFile(3*snapshotChunkBytes + 1)
	if err := a.SendSnapshot(testContext(t), 2, SnapshotHeader{From: id1, To: id2, Index: 1, Term: 1}, bytes.NewReader(file), int64(len(file)), 0); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, snapshots, "snapshot"); !bytes.Equal(got.file, file) || got.err != nil {
		t.Errorf("%d bytes, %v", len(got.file), got.err)
	}
	b.wantEvents(t, "up "+who(1, a.cfg.RaftID))
	a.Close() // the other side notices at once
	b.wantEvents(t, "down "+who(1, a.cfg.RaftID))
}

// TestTLSChangeOver: a member that takes both kinds talks to old and new ones.
func TestTLSChangeOver(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	plain := start(t, 1, nil)
	both := start(t, 2, withTLS(t, ca, ca, nil, func(c *TLS) { c.Dial, c.AlsoPlain = false, true }))
	link(t, plain, both)
	secure := start(t, 3, withTLS(t, ca, ca, nil, func(c *TLS) { c.AlsoPlain = true }))
	both.SetPeers(map[uint16]string{1: plain.addr(), 3: secure.addr()})
	secure.SetPeers(map[uint16]string{2: both.addr()})
	eventually(t, "connected", func() bool { return both.Connected(3) && secure.Connected(2) && both.Connected(1) })
}

// TestTLSRefused: a member that does not fit is refused, both sides say why, and nothing of it is delivered.
func TestTLSRefused(t *testing.T) {
	ours, foreign := certtest.NewAuthority(t, "ours"), certtest.NewAuthority(t, "foreign")
	good := withTLS(t, ours, ours, nil, nil)
	for _, c := range []struct {
		name     string
		other    func(*Config, *recorder)
		ours     string // what the log of the good member says of a connection that it takes
		others   string // and that of the other of one that it dials
		outbound string // and that of the good member of one that it dials
	}{
		{"a foreign authority", withTLS(t, foreign, foreign, nil, nil), "it refused: bad certificate", "no authority in the trust store has signed it", "no authority in the trust store has signed it"},
		{"a foreign certificate that trusts ours", withTLS(t, foreign, ours, nil, nil), "", "it refused: ", "no authority in the trust store has signed it"},
		{"another host's certificate", withTLS(t, ours, ours, []string{"zoo9"}, nil), "names neither its address 127.0.0.1 nor its host", "names neither its address", "it does not name 127.0.0.1"},
		{"no TLS", nil, "it does not speak TLS, which this server wants of members", "", "it hung up in the TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := start(t, 1, good), start(t, 2, c.other)
			a.SetPeers(map[uint16]string{2: b.addr()})
			b.SetPeers(map[uint16]string{1: a.addr()})
			a.log.wantLine(t, "refused a connection", c.ours)
			b.log.wantLine(t, "cannot connect", c.others)
			a.log.wantLine(t, "cannot connect", c.outbound)
			if a.Connected(2) || b.Connected(1) {
				t.Error("connected")
			}
			select {
			case e := <-a.events:
				t.Errorf("it was told: %s", e)
			default:
			}
		})
	}
}

// TestTLSToPlain: a member without TLS says what comes to it.
func TestTLSToPlain(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	a, b := start(t, 1, withTLS(t, ca, ca, nil, nil)), start(t, 2, nil)
	a.SetPeers(map[uint16]string{2: b.addr()})
	b.log.wantLine(t, "refused a connection", "it speaks TLS, which this server does not")
}

// TestTLSSilent: a handshake that does not go on ends after the time for it.
func TestTLSSilent(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	protect := withTLS(t, ca, ca, nil, nil)
	m := start(t, 1, func(c *Config, r *recorder) { protect(c, r); c.HandshakeTimeout = 20e6 })
	for _, begin := range [][]byte{{}, {0x16}, {0x16, 3, 1, 2, 0, 1}} {
		conn := dialRaw(t, m.addr())
		if _, err := conn.Write(begin); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, conn)
	}
}
