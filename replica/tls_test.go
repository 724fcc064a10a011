package replica

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopherwood/internal/certs/certtest"
)

// secure starts a member with certificates of ca, or changed ones.
func secure(t *testing.T, s *server, ca *certtest.Authority, change func(*TLS)) {
	t.Helper()
	s.r.Close()
	dir := t.TempDir()
	o := &TLS{CAFile: ca.File(t, dir, "ca.crt")}
	o.CertFile, o.KeyFile = ca.Issue(t, certtest.Leaf{Name: "member"}).Files(t, dir, "own")
	if change != nil {
		change(o)
	}
	s.sm = &sum{}
	r, err := Start(Config{Dir: s.dir, ServerID: s.id, Peers: s.peers, TLS: o, Tick: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}, s.sm)
	if err != nil {
		t.Fatal(err)
	}
	s.r = r
	t.Cleanup(func() { r.Close() })
}

// Members change over to TLS one after the other, as the comment of TLS says, and go on all the while.
func TestMembersChangeOverToTLS(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	servers := ensemble(t, 3)
	servers[0].add(1)
	count := uint64(1)
	for _, step := range []func(*TLS){
		func(o *TLS) { o.AlsoPlain, o.DialPlain = true, true },
		func(o *TLS) { o.AlsoPlain = true },
		func(o *TLS) {},
	} {
		for _, s := range servers {
			secure(t, s, ca, step)
			s.add(1)
			count++
		}
	}
	for _, s := range servers {
		s.wantSum(count, count)
	}
	stranger := certtest.NewAuthority(t, "another CA")
	secure(t, servers[2], stranger, nil)
	servers[0].add(1) // the others are a majority
	for range 20 {
		time.Sleep(10 * time.Millisecond) // time enough to be let in
		if l := servers[2].r.Status().Leadership; l.Leader != 0 {
			t.Fatalf("a server with a certificate of another authority is let in: %+v", l)
		}
	}
}

func TestTLSNamesWhatIsMissing(t *testing.T) {
	peers := map[uint16]string{1: "127.0.0.1:0", 2: "127.0.0.1:1"}
	for want, o := range map[string]*TLS{"TLS.CertFile": {}, "none.pem": {CertFile: filepath.Join(t.TempDir(), "none.pem"), CAFile: "x"}} {
		r, err := Start(Config{Dir: t.TempDir(), ServerID: 1, Peers: peers, TLS: o, Logger: slog.New(slog.DiscardHandler)}, &sum{})
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want one that names %s", o, err, want)
		}
	}
}
