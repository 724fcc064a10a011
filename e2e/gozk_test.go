package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopherwood/e2e/internal/cutproxy"
	"gopherwood/e2e/internal/ensemble"

	"github.com/go-zookeeper/zk"
)

// goLimit is how long a check waits for what must come; a limit, not a measurement.
const goLimit = 40 * time.Second

// goTimeout is the session timeout of ordinary clients: long, so that a slow machine expires nobody by accident.
const goTimeout = 9 * time.Second

// goEnv is what one check of go-zookeeper works with.
type goEnv struct {
	*testing.T
	servers []string
	root    string // a folder of its own
}

// goZookeeper runs the checks of the Go client that most Go programs use.
func goZookeeper(t *testing.T, connect string) {
	checks := []struct {
		name string
		run  func(goEnv)
	}{
		{"life", goLife},
		{"kinds", goKinds},
		{"errors", goErrors},
		{"acl", goACL},
		{"multi", goMulti},
		{"watches", goWatches},
		{"watches-over-reconnect", goWatchesOverReconnect},
		{"lock", goLock},
		{"concurrent", goConcurrent},
		{"session", goSession},
		{"expiry", goExpiry},
		{"protected", goProtected},
		{"large", goLarge},
		{"four-letter-words", goWords},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			e := goEnv{T: t, servers: strings.Split(connect, ","), root: suiteRoot(t)}
			e.must(e.conn().Create(e.root, nil, 0, zk.WorldACL(zk.PermAll)))
			c.run(e)
		})
	}
}

func (e goEnv) path(name string) string { return path.Join(e.root, name) }

func (e goEnv) server(i int) string { return e.servers[i%len(e.servers)] }

// conn returns a connected client of any server.
func (e goEnv) conn() *zk.Conn { return e.connTo(goTimeout, nil, e.servers...) }

// connTo returns a connected client of the named servers; events get its session events, too.
func (e goEnv) connTo(timeout time.Duration, events func(zk.Event), servers ...string) *zk.Conn {
	e.Helper()
	connected := make(chan struct{})
	var once sync.Once
	c, _, err := zk.Connect(servers, timeout, zk.WithLogger(quiet{}), zk.WithEventCallback(func(ev zk.Event) {
		if ev.State == zk.StateHasSession {
			once.Do(func() { close(connected) })
		}
		if events != nil {
			events(ev)
		}
	}))
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(c.Close)
	e.wait("a session", connected)
	return c
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func (e goEnv) wait(what string, c <-chan struct{}) {
	e.Helper()
	select {
	case <-c:
	case <-time.After(goLimit):
		e.Fatalf("never: %s", what)
	}
}

func (e goEnv) event(c <-chan zk.Event, want zk.EventType, path string) {
	e.Helper()
	select {
	case ev := <-c:
		if ev.Type != want || ev.Path != path || ev.Err != nil {
			e.Fatalf("event %+v, want %v %s", ev, want, path)
		}
	case <-time.After(goLimit):
		e.Fatalf("no event, want %v %s", want, path)
	}
}

// must fails the check on an error and returns the call's first result.
func (e goEnv) must(result any, err error) any {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
	return result
}

func (e goEnv) fails(want error, err error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Fatalf("error %v, want %v", err, want)
	}
}

func (e goEnv) is(ok bool, format string, args ...any) {
	e.Helper()
	if !ok {
		e.Fatalf(format, args...)
	}
}

func goLife(e goEnv) {
	c := e.conn()
	p := e.path("a")
	open := zk.WorldACL(zk.PermAll)
	e.must(c.Create(p, []byte("one"), 0, open))
	data, stat, err := c.Get(p)
	e.must(nil, err)
	e.is(string(data) == "one" && stat.Version == 0 && stat.DataLength == 3 && stat.Czxid == stat.Mzxid, "get: %q %+v", data, stat)
	stat = e.must(c.Set(p, []byte("two"), 0)).(*zk.Stat)
	e.is(stat.Version == 1 && stat.Mzxid > stat.Czxid, "set: %+v", stat)
	e.must(c.Create(p+"/b", nil, 0, open))
	children, stat, err := c.Children(p)
	e.must(nil, err)
	e.is(slices.Equal(children, []string{"b"}) && stat.NumChildren == 1 && stat.Cversion == 1, "children: %v %+v", children, stat)
	e.must(c.Sync(p))
	e.must(nil, c.Delete(p+"/b", -1))
	e.must(nil, c.Delete(p, 1))
	exists, _, err := c.Exists(p)
	e.must(nil, err)
	e.is(!exists, "it is still there")
}

func goKinds(e goEnv) {
	c := e.conn()
	open := zk.WorldACL(zk.PermAll)
	p := e.must(c.Create(e.path("s"), nil, zk.FlagSequence, open))
	e.is(p == e.path("s0000000000"), "sequential name %v", p)
	p = e.must(c.Create(e.path("es"), nil, zk.FlagEphemeral|zk.FlagSequence, open))
	_, stat, err := c.Exists(p.(string))
	e.must(nil, err)
	e.is(stat.EphemeralOwner == c.SessionID(), "owner %x, session %x", stat.EphemeralOwner, c.SessionID())
	e.must(c.CreateContainer(e.path("c"), []byte("x"), zk.FlagContainer, open))
	e.must(c.CreateTTL(e.path("t"), []byte("x"), zk.FlagTTL, open, time.Hour))
	for _, name := range []string{"c", "t"} {
		data, stat, err := c.Get(e.path(name))
		e.must(nil, err)
		e.is(string(data) == "x" && stat.EphemeralOwner == 0, "%s: %q %+v", name, data, stat)
	}
}

func goErrors(e goEnv) {
	c := e.conn()
	open := zk.WorldACL(zk.PermAll)
	_, _, err := c.Get(e.path("none"))
	e.fails(zk.ErrNoNode, err)
	_, err = c.Create(e.path("no/parent"), nil, 0, open)
	e.fails(zk.ErrNoNode, err)
	_, err = c.Create(e.root, nil, 0, open)
	e.fails(zk.ErrNodeExists, err)
	_, err = c.Set(e.root, nil, 9)
	e.fails(zk.ErrBadVersion, err)
	e.must(c.Create(e.path("e"), nil, zk.FlagEphemeral, open))
	_, err = c.Create(e.path("e/x"), nil, 0, open)
	e.fails(zk.ErrNoChildrenForEphemerals, err)
	e.fails(zk.ErrNotEmpty, c.Delete(e.root, -1))
	_, err = c.Create(e.path("a"), nil, 0, []zk.ACL{{Perms: zk.PermAll, Scheme: "fingers", ID: "crossed"}})
	e.fails(zk.ErrInvalidACL, err)
}

func goACL(e goEnv) {
	owner, other := e.conn(), e.conn()
	p := e.path("a")
	e.must(nil, owner.AddAuth("digest", []byte("anna:secret")))
	e.must(owner.Create(p, []byte("x"), 0, zk.DigestACL(zk.PermAll, "anna", "secret")))
	e.must(other.Sync(p))
	_, _, err := other.Get(p)
	e.fails(zk.ErrNoAuth, err)
	e.must(nil, other.AddAuth("digest", []byte("anna:secret")))
	data, _, err := other.Get(p)
	e.must(nil, err)
	e.is(string(data) == "x", "data %q", data)
	stat := e.must(owner.SetACL(p, zk.WorldACL(zk.PermRead), 0)).(*zk.Stat)
	e.is(stat.Aversion == 1, "aversion %d", stat.Aversion)
	acl, _, err := owner.GetACL(p)
	e.must(nil, err)
	e.is(slices.Equal(acl, zk.WorldACL(zk.PermRead)), "acl %v", acl)
	e.must(owner.Create(e.path("mine"), nil, 0, zk.AuthACL(zk.PermAll)))
	acl, _, err = owner.GetACL(e.path("mine"))
	e.must(nil, err)
	e.is(len(acl) == 1 && acl[0].Scheme == "digest" && strings.HasPrefix(acl[0].ID, "anna:"), "acl %v", acl)
}

func goMulti(e goEnv) {
	c := e.conn()
	open := zk.WorldACL(zk.PermAll)
	a := e.path("a")
	r, err := c.Multi(
		&zk.CreateRequest{Path: a, Data: []byte("1"), Acl: open},
		&zk.SetDataRequest{Path: a, Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: a, Version: 1},
		&zk.CreateRequest{Path: e.path("s"), Acl: open, Flags: zk.FlagSequence},
		&zk.DeleteRequest{Path: a, Version: 1})
	e.must(nil, err)
	e.is(len(r) == 5 && r[0].String == a && r[1].Stat.Version == 1 && r[3].String == e.path("s0000000001"), "results %+v", r)
	r, err = c.Multi(
		&zk.CreateRequest{Path: a, Acl: open},
		&zk.DeleteRequest{Path: e.path("none"), Version: -1})
	e.fails(zk.ErrNoNode, err)
	e.is(len(r) == 2 && r[1].Error == zk.ErrNoNode, "results %+v", r)
	exists, _, err := c.Exists(a)
	e.must(nil, err)
	e.is(!exists, "a failed multi left a node")
}

func goWatches(e goEnv) {
	writer := e.connTo(goTimeout, nil, e.server(0))
	c := e.connTo(goTimeout, nil, e.server(1))
	open := zk.WorldACL(zk.PermAll)
	a := e.path("a")
	e.must(c.Sync(e.root))
	_, _, created, err := c.ExistsW(a)
	e.must(nil, err)
	_, _, grew, err := c.ChildrenW(e.root)
	e.must(nil, err)
	e.must(writer.Create(a, nil, 0, open))
	e.event(created, zk.EventNodeCreated, a)
	e.event(grew, zk.EventNodeChildrenChanged, e.root)
	_, _, changed, err := c.GetW(a)
	e.must(nil, err)
	e.must(writer.Set(a, []byte("1"), -1))
	e.event(changed, zk.EventNodeDataChanged, a)
	_, _, gone, err := c.GetW(a)
	e.must(nil, err)
	_, _, goneToo, err := c.ChildrenW(a)
	e.must(nil, err)
	e.must(nil, writer.Delete(a, -1))
	e.event(gone, zk.EventNodeDeleted, a)
	e.event(goneToo, zk.EventNodeDeleted, a)
}

func goWatchesOverReconnect(e goEnv) {
	writer := e.conn()
	open := zk.WorldACL(zk.PermAll)
	a := e.path("a")
	e.must(writer.Create(a, nil, 0, open))
	proxy := cutproxy.New(e, e.server(0))
	states := make(chan zk.Event, 100)
	c := e.connTo(goTimeout, func(ev zk.Event) { states <- ev }, proxy.Addr())
	session := c.SessionID()
	for i := range 3 {
		e.must(c.Sync(e.root))
		_, _, missed, err := c.GetW(a)
		e.must(nil, err)
		_, _, later, err := c.ExistsW(e.path(fmt.Sprint("new", i)))
		e.must(nil, err)
		drain(states)
		proxy.Cut()
		e.state(states, zk.StateDisconnected)
		e.must(writer.Set(a, []byte("1"), -1))
		proxy.Mend(e.server(i + 1))
		e.state(states, zk.StateHasSession)
		e.is(c.SessionID() == session, "another session")
		e.event(missed, zk.EventNodeDataChanged, a)
		e.must(writer.Create(e.path(fmt.Sprint("new", i)), nil, 0, open))
		e.event(later, zk.EventNodeCreated, e.path(fmt.Sprint("new", i)))
	}
}

func drain(c <-chan zk.Event) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

func (e goEnv) state(states <-chan zk.Event, want zk.State) {
	e.Helper()
	limit := time.After(goLimit)
	for {
		select {
		case ev := <-states:
			if ev.Type == zk.EventSession && ev.State == want {
				return
			}
		case <-limit:
			e.Fatalf("never in state %v", want)
		}
	}
}

// goLock runs the client's lock recipe in several clients, one at a time inside.
func goLock(e goEnv) {
	var inside, turns int
	var mu sync.Mutex
	var parties sync.WaitGroup
	for i := range 4 {
		c := e.connTo(goTimeout, nil, e.server(i))
		parties.Go(func() {
			for range 5 {
				l := zk.NewLock(c, e.path("lock"), zk.WorldACL(zk.PermAll))
				if err := l.Lock(); err != nil {
					e.Error(err)
					return
				}
				mu.Lock()
				inside++
				turns++
				if inside != 1 {
					e.Errorf("%d holders", inside)
				}
				mu.Unlock()
				time.Sleep(2 * time.Millisecond)
				mu.Lock()
				inside--
				mu.Unlock()
				if err := l.Unlock(); err != nil {
					e.Error(err)
				}
			}
		})
	}
	parties.Wait()
	e.is(turns == 20, "%d turns, want 20", turns)
}

// goConcurrent has many goroutines use one connection: compare-and-set must lose nothing.
func goConcurrent(e goEnv) {
	p := e.path("n")
	first := e.conn()
	e.must(first.Create(p, []byte("0"), 0, zk.WorldACL(zk.PermAll)))
	var workers sync.WaitGroup
	for i := range 3 {
		c := e.connTo(goTimeout, nil, e.server(i))
		e.must(c.Sync(p))
		for range 4 {
			workers.Go(func() { e.increment(c, p, 10) })
		}
	}
	workers.Wait()
	e.must(first.Sync(p))
	data, stat, err := first.Get(p)
	e.must(nil, err)
	e.is(string(data) == "120" && stat.Version == 120, "%q at version %d, want 120", data, stat.Version)
}

func (e goEnv) increment(c *zk.Conn, path string, times int) {
	for times > 0 {
		data, stat, err := c.Get(path)
		if err != nil {
			e.Error(err)
			return
		}
		var n int
		if _, err := fmt.Sscan(string(data), &n); err != nil {
			e.Error(err)
			return
		}
		switch _, err = c.Set(path, fmt.Append(nil, n+1), stat.Version); {
		case err == nil:
			times--
		case !errors.Is(err, zk.ErrBadVersion):
			e.Error(err)
			return
		}
	}
}

func goSession(e goEnv) {
	a, b := e.conn(), e.conn()
	e.is(a.SessionID() != 0 && a.SessionID() != b.SessionID(), "sessions %x and %x", a.SessionID(), b.SessionID())
	e.must(a.Create(e.path("e"), nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))
	e.must(b.Sync(e.root))
	exists, _, gone, err := b.ExistsW(e.path("e"))
	e.must(nil, err)
	e.is(exists, "no ephemeral")
	a.Close()
	e.event(gone, zk.EventNodeDeleted, e.path("e"))
}

func goExpiry(e goEnv) {
	watcher := e.conn()
	proxy := cutproxy.New(e, e.server(0))
	states := make(chan zk.Event, 100)
	c := e.connTo(1500*time.Millisecond, func(ev zk.Event) { states <- ev }, proxy.Addr())
	session := c.SessionID()
	e.must(c.Create(e.path("e"), nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll)))
	e.must(watcher.Sync(e.root))
	_, _, gone, err := watcher.ExistsW(e.path("e"))
	e.must(nil, err)
	proxy.Cut()
	e.event(gone, zk.EventNodeDeleted, e.path("e"))
	proxy.Mend(e.server(0))
	e.state(states, zk.StateExpired)
	e.state(states, zk.StateHasSession)
	e.is(c.SessionID() != session, "the expired session came back")
}

func goProtected(e goEnv) {
	c := e.conn()
	p := e.must(c.CreateProtectedEphemeralSequential(e.path("p-"), nil, zk.WorldACL(zk.PermAll))).(string)
	e.is(strings.HasPrefix(path.Base(p), "_c_") && strings.HasSuffix(p, "-p-0000000000"), "name %s", p)
}

func goLarge(e goEnv) {
	c := e.conn()
	data := bytes.Repeat([]byte("0123456789abcdef"), 60000)
	e.must(c.Create(e.path("a"), data, 0, zk.WorldACL(zk.PermAll)))
	got, _, err := c.Get(e.path("a"))
	e.must(nil, err)
	e.is(bytes.Equal(got, data), "%d bytes came back of %d", len(got), len(data))
}

func goWords(e goEnv) {
	// The client's own reader of srvr knows only the dates of old servers: this is what it and others look for.
	srvr := regexp.MustCompile(`(?s)\AZookeeper version: \S+, built on .*\nLatency min/avg/max: \d+/[0-9.]+/\d+\nReceived: \d+\nSent: \d+\n` +
		`Connections: \d+\nOutstanding: \d+\nZxid: 0x[0-9a-f]+\nMode: (leader|follower|standalone)\n.*Node count: \d+\n`)
	for _, s := range e.servers {
		answer := e.must(ensemble.Word(s, "srvr")).(string)
		e.is(srvr.MatchString(answer), "srvr of %s: %s", s, answer)
	}
	for i, ok := range zk.FLWRuok(e.servers, goLimit) {
		e.is(ok, "ruok of %s", e.server(i))
	}
	c := e.conn()
	session := fmt.Sprintf("sid=0x%x,", c.SessionID())
	found := false
	for _, s := range e.servers {
		found = found || strings.Contains(e.must(ensemble.Word(s, "cons")).(string), session)
	}
	e.is(found, "session %x is in no server's cons", c.SessionID())
}
