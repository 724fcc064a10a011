package e2e

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// reconfigurable are the lines of zoo.cfg with which ZooKeeper's shell can change the ensemble, as the super user.
func reconfigurable() []string {
	digest := sha1.Sum([]byte("super:secret"))
	return []string{"reconfigEnabled=true", "zookeeper.DigestAuthenticationProvider.superDigest=super:" + base64.StdEncoding.EncodeToString(digest[:])}
}

// typed runs commands in one shell and looks for a pattern in what each prints.
func typed(t *testing.T, connect string, commands ...[2]string) {
	t.Helper()
	sh := startShell(t, connect)
	for _, c := range commands {
		out, err := sh.run(c[0])
		if err != nil {
			t.Fatalf("%s: %v\n%s", c[0], err, out)
		}
		if !shellPattern(c[1], "").MatchString(out) {
			t.Errorf("%s: printed\n%s\nwant %s", c[0], out, c[1])
		}
	}
}

// TestReconfig: three servers become five and three again, the leader among those that leave, through ZooKeeper's own shell and under load. No client of the
// servers that stay may notice.
func TestReconfig(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper hangs up on every client when its leader leaves")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 5, Joiners: 2, Config: reconfigurable()})
	four, five := e.Servers[3], e.Servers[4]
	add := func(s *ensemble.Server) string {
		return fmt.Sprintf("reconfig -add server.%d=%s", s.ID, s.Line("participant"))
	}
	leader, err := e.Leader()
	if err != nil {
		t.Fatal(err)
	}
	var stay []string
	for _, s := range e.Servers[:3] {
		if s != leader {
			stay = append(stay, s.Addr())
		}
	}
	r := startLoad(t, "/reconfig", stay)
	start := time.Now()
	typed(t, stay[0],
		[2]string{add(four), `(?i)insufficient permission|NoAuth|Authentication is not valid`},
		[2]string{"addauth digest super:secret", ``},
		[2]string{"config", fmt.Sprintf(`server\.3=%s:participant`, strings.Split(e.Servers[2].Line("participant"), ":participant")[0])},
		[2]string{"reconfig -add server.9=127.0.0.1:1:2;3", `(?i)no quorum`},
		[2]string{"reconfig -add server.9=nonsense", `(?i)wrong arguments|bad arguments|Arguments are not valid|BadArguments`},
		[2]string{"reconfig -v 777 -remove 3", `(?i)version`},
		[2]string{add(four), `(?s)Committed new configuration.*server\.4=.*participant.*version=`},
		[2]string{add(five), `(?s)Committed new configuration.*server\.4=.*server\.5=.*version=`},
	)
	for _, s := range []*ensemble.Server{four, five} {
		if mode, err := s.WaitServing(t.Context()); err != nil || mode != "follower" {
			t.Errorf("server %d is a %s (%v), want a follower", s.ID, mode, err)
		}
	}
	grown := time.Since(start)
	typed(t, stay[0],
		[2]string{"addauth digest super:secret", ``},
		[2]string{fmt.Sprintf("reconfig -remove %d,%d", leader.ID, four.ID), `(?s)Committed new configuration.*server\.5=.*version=`},
	)
	now, err := e.Leader()
	if err != nil || now == leader || now == four {
		t.Errorf("server %d leads (%v), want one of those that stayed", now.ID, err)
	}
	time.Sleep(time.Second) // a while in the new ensemble
	r.stop.Store(true)
	waitLoad(t, r)
	for i, err := range r.errs {
		if err != nil {
			t.Errorf("client %d of %s: %v", i, r.clients[i].Addr, err)
		}
	}
	t.Logf("FIGURE reconfig: 3 became 5 within %v and 3 again, %d writes were acknowledged, no request failed", grown.Round(time.Millisecond), r.acked())
	for _, addr := range append(stay, five.Addr()) {
		r.verify(t, addr)
	}
}

// TestObservers: two servers that vote and one that observes; the observer serves and passes writes on, and does not count when a server dies.
func TestObservers(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 4, Observers: 1})
	o := e.Servers[3]
	if mode, err := o.WaitServing(t.Context()); err != nil || mode != "observer" {
		t.Errorf("server 4 is a %s (%v), want an observer", mode, err)
	}
	r := startLoad(t, "/observed", []string{o.Addr()})
	time.Sleep(time.Second)
	r.stop.Store(true)
	waitLoad(t, r)
	for i, err := range r.errs {
		if err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if err := e.CatchUp(); err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Servers {
		r.verify(t, s.Addr())
	}
	typed(t, e.Servers[0].Addr(), [2]string{"config", `server\.4=.*:observer`})
}

// TestReadOnlyMode: a server whose two peers are dead serves ZooKeeper's shell, started with -r, for reading only.
func TestReadOnlyMode(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("ZooKeeper wants a system property for it")
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3, Config: []string{"readonlymode.enabled=true"}})
	typed(t, e.Connect(), [2]string{"create /kept value", `Created /kept`})
	left := e.Servers[2]
	for _, s := range e.Servers[:2] {
		s.Kill()
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if mode, err := ensemble.Word(left.Addr(), "isro"); err == nil && mode == "ro" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the server does not become read-only")
		}
	}
	for _, c := range [][2]string{{"get /kept", `value`}, {"set /kept other", `(?i)read-only`}, {"ls /", `kept`}} { // a waiting shell waits for more
		out, _ := zookeeperMain(t, append([]string{"-server", left.Addr(), "-r"}, strings.Fields(c[0])...)...).CombinedOutput()
		if !shellPattern(c[1], "").Match(out) {
			t.Errorf("%s: printed\n%s\nwant %s", c[0], out, c[1])
		}
	}
	if err := e.StartAll(); err != nil {
		t.Fatal(err)
	}
	typed(t, left.Addr(), [2]string{"set /kept other", ``}, [2]string{"get /kept", `other`})
}

// TestReconfigPorts: ZooKeeper's shell gives a running server another port for clients, and another one for the other servers. Who is connected stays so; the old ports are
// closed; a port that somebody else has is taken when it is free; and after a restart with the old configuration they are the new ones.
func TestReconfigPorts(t *testing.T) {
	need(t)
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3, Config: reconfigurable()})
	s := e.Servers[1]
	blocked, free := listener(t), listener(t)
	peer := listener(t)
	ports := func(client net.Listener) string {
		fields := strings.Split(s.Line("participant"), ":")
		fields[1] = strconv.Itoa(peer.Addr().(*net.TCPAddr).Port)
		line := strings.Join(fields, ":")
		return fmt.Sprintf("reconfig -add server.%d=%s;%s", s.ID, line[:strings.IndexByte(line, ';')], client.Addr())
	}
	free.Close()
	peer.Close()
	c, err := raw.Dial(s.Addr(), raw.Session{TimeoutMs: faultTimeoutMs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	old := s.Addr()
	typed(t, e.Servers[0].Addr(), [2]string{"addauth digest super:secret", ``}, [2]string{ports(blocked), `(?s)Committed new configuration.*` + blocked.Addr().String()})
	if target() == ensemble.Gopherwood { // ZooKeeper closes the old port all the same
		time.Sleep(300 * time.Millisecond)
		if !accepts(old) {
			t.Error("the old port is closed, and there is no new one")
		}
	}
	blocked.Close()
	awaitPort(t, old, blocked.Addr().String())
	typed(t, e.Servers[0].Addr(), [2]string{"addauth digest super:secret", ``}, [2]string{ports(free), `(?s)Committed new configuration.*` + free.Addr().String()})
	awaitPort(t, blocked.Addr().String(), free.Addr().String())
	for i, path := range []string{"/through-it-all", "/still"} {
		if r, err := c.Call(raw.Create(nil, int32(i+1), path, nil, raw.Persistent)); err != nil || r.Err != 0 {
			t.Fatalf("a client that was connected before: %v, error %d", err, r.Err)
		}
	}
	if target() != ensemble.Gopherwood {
		return // its files are rewritten, which the harness does not know
	}
	if err := s.Terminate(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	awaitPort(t, old, free.Addr().String())
	typed(t, free.Addr().String(), [2]string{"get /still", ``}, [2]string{"create /after x", `Created /after`})
	if !accepts(peer.Addr().String()) {
		t.Error("the new port for the other servers is closed after a restart")
	}
}

func listener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func accepts(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// awaitPort waits until one port is closed and another serves.
func awaitPort(t *testing.T, from, to string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if mode, err := ensemble.Mode(to); err == nil && mode != "" && !accepts(from) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s accepts: %v, %s: %v", from, accepts(from), to, accepts(to))
		}
	}
}
