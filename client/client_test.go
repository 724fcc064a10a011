package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gopherwood/client"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f with fake time, an ensemble and a client of it. Both are gone at the end.
func bubble(t *testing.T, o client.Options, f func(ctx context.Context, s *fakezk.Server, c *client.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := fakezk.New()
		defer s.Close()
		o.Dial = s.Dial
		c, err := client.Connect(t.Context(), "a:1,b:1,c:1", o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f(t.Context(), s, c)
	})
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOperations(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		if p := must[string](t)(c.Create(ctx, "/a", []byte("one"), client.CreateOptions{})); p != "/a" {
			t.Errorf("created %q", p)
		}
		p, stat, err := c.Create2(ctx, "/a/s-", nil, client.CreateOptions{Mode: zk.ModeEphemeralSequential})
		check(t, err)
		if p != "/a/s-0000000000" || stat.EphemeralOwner != c.SessionID() {
			t.Errorf("created %q, owner %#x", p, stat.EphemeralOwner)
		}
		_, err = c.Create(ctx, "/a/c", nil, client.CreateOptions{Mode: zk.ModeContainer})
		check(t, err)
		_, stat, err = c.Create2(ctx, "/a/t", nil, client.CreateOptions{Mode: zk.ModeTTL, TTL: time.Second})
		check(t, err)
		if stat.Czxid == 0 {
			t.Error("no Stat of the TTL node")
		}
		data, stat, err := c.Get(ctx, "/a")
		check(t, err)
		if string(data) != "one" || stat.NumChildren != 3 {
			t.Errorf("get: %q %+v", data, stat)
		}
		if stat := must[zk.Stat](t)(c.Set(ctx, "/a", []byte("two"), 0)); stat.Version != 1 {
			t.Errorf("version %d after set", stat.Version)
		}
		names, _, err := c.Children(ctx, "/a")
		check(t, err)
		if slices.Sort(names); !slices.Equal(names, []string{"c", "s-0000000000", "t"}) {
			t.Errorf("children %q", names)
		}
		if n := must[int](t)(c.ChildrenNumber(ctx, "/a")); n != 3 {
			t.Errorf("%d below /a", n)
		}
		if e := must[[]string](t)(c.Ephemerals(ctx, "/")); !slices.Equal(e, []string{p}) {
			t.Errorf("ephemerals %q", e)
		}
		if _, ok, err := c.Exists(ctx, "/missing"); ok || err != nil {
			t.Errorf("exists: %v, %v", ok, err)
		}
		acl := []zk.ACL{{Perms: zk.PermRead, ID: zk.WorldAnyone}}
		must[zk.Stat](t)(c.SetACL(ctx, "/a", acl, client.AnyVersion))
		got, stat, err := c.ACL(ctx, "/a")
		check(t, err)
		if !slices.Equal(got, acl) || stat.Aversion != 1 {
			t.Errorf("ACL %v, %+v", got, stat)
		}
		check(t, c.Sync(ctx, "/"))
		check(t, c.AddAuth(ctx, client.Auth{Scheme: "digest", Auth: []byte("u:p")}))
		if ids := must[[]zk.ID](t)(c.WhoAmI(ctx)); !slices.Contains(ids, zk.ID{Scheme: "digest", ID: "u:p"}) {
			t.Errorf("identities %v", ids)
		}
		check(t, c.Delete(ctx, "/a/c", 0))
		check(t, c.Close())
		if n := s.Sessions(); n != 0 {
			t.Errorf("%d sessions after Close", n)
		}
	})
}

func TestErrors(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		must[string](t)(c.Create(ctx, "/n", nil, client.CreateOptions{}))
		must[string](t)(c.Create(ctx, "/n/m", nil, client.CreateOptions{}))
		must[string](t)(c.Create(ctx, "/e", nil, client.CreateOptions{Mode: zk.ModeEphemeral}))
		create := func(path string, o client.CreateOptions) error {
			_, err := c.Create(ctx, path, nil, o)
			return err
		}
		tests := []struct {
			name string
			err  error
			want zk.Code
			text string
		}{
			{"no node", func() error { _, _, err := c.Get(ctx, "/x"); return err }(), zk.ErrNoNode, "get /x: zk: node does not exist"},
			{"exists", create("/n", client.CreateOptions{}), zk.ErrNodeExists, "create /n: zk: node exists"},
			{"version", func() error { _, err := c.Set(ctx, "/n", nil, 7); return err }(), zk.ErrBadVersion, "set /n: zk: version differs"},
			{"not empty", c.Delete(ctx, "/n", -1), zk.ErrNotEmpty, "delete /n: zk: node has children"},
			{"child of ephemeral", create("/e/x", client.CreateOptions{}), zk.ErrNoChildrenForEphemerals, "create /e/x: zk: ephemeral nodes may not have children"},
			{"path", func() error { _, _, err := c.Children(ctx, "x/"); return err }(), zk.ErrBadArguments, `children x/: zk: bad path "x/": no slash at the start at byte 0`},
			{"ttl", create("/t", client.CreateOptions{TTL: time.Second}), zk.ErrBadArguments, "create /t: zk: bad arguments"},
			{"scheme", c.AddAuth(ctx, client.Auth{Scheme: "none"}), zk.ErrAuthFailed, "auth: zk: authentication failed"},
		}
		for _, tt := range tests {
			if !errors.Is(tt.err, tt.want) || client.OutcomeUnknown(tt.err) || tt.err.Error() != tt.text {
				t.Errorf("%s: %v, want %q", tt.name, tt.err, tt.text)
			}
		}
		if _, _, err := c.Get(ctx, "/n"); err != nil { // a refused identity costs the connection, not the session
			t.Error(err)
		}
	})
}

func TestMulti(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		var txn client.Txn
		txn.Create("/a", []byte("x"), client.CreateOptions{}).Create("/a/b-", nil, client.CreateOptions{Mode: zk.ModePersistentSequential})
		txn.Set("/a", []byte("y"), 0).Check("/a", 1).Create("/gone", nil, client.CreateOptions{}).Delete("/gone", 0)
		r, err := c.Multi(ctx, &txn)
		check(t, err)
		if len(r) != txn.Len() || r[1].Path != "/a/b-0000000000" || r[2].Stat.Version != 1 {
			t.Errorf("results %+v", r)
		}
		var bad client.Txn
		bad.Set("/a", nil, -1).Delete("/missing", -1).Create("/c", nil, client.CreateOptions{})
		_, err = c.Multi(ctx, &bad)
		var te *client.TxnError
		if !errors.As(err, &te) || te.Index != 1 || te.Path != "/missing" || !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("failed multi: %v", err)
		}
		if data, _, _ := c.Get(ctx, "/a"); string(data) != "y" {
			t.Errorf("a failed multi left %q", data)
		}
		if _, err := c.Multi(ctx, new(client.Txn).Delete("bad", 0)); !errors.Is(err, zk.ErrBadArguments) {
			t.Errorf("bad path in a multi: %v", err)
		}
		reads, err := c.MultiRead(ctx, new(client.Reads).Get("/a").Get("/none").Children("/a"))
		check(t, err)
		if string(reads[0].Data) != "y" || !errors.Is(reads[1].Err, zk.ErrNoNode) || !slices.Equal(reads[2].Children, []string{"b-0000000000"}) {
			t.Errorf("reads %+v", reads)
		}
	})
}

func TestChroot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := fakezk.New()
		defer s.Close()
		s.Do(zk.OpCreate, "/app", "")
		c, err := client.Connect(ctx, "a/app", client.Options{Dial: s.Dial})
		check(t, err)
		defer c.Close()
		if p := must[string](t)(c.Create(ctx, "/x", nil, client.CreateOptions{Mode: zk.ModeEphemeral})); p != "/x" {
			t.Errorf("created %q", p)
		}
		names, _, w, err := c.ChildrenW(ctx, "/")
		check(t, err)
		if !slices.Equal(names, []string{"x"}) {
			t.Errorf("children %q", names)
		}
		r, err := c.Multi(ctx, new(client.Txn).Create("/y", nil, client.CreateOptions{}))
		check(t, err)
		if r[0].Path != "/y" {
			t.Errorf("multi created %q", r[0].Path)
		}
		if e := <-w.Events(); e.Path != "/" || e.Type != zk.EventNodeChildrenChanged {
			t.Errorf("event %+v", e)
		}
		if e := must[[]string](t)(c.Ephemerals(ctx, "/")); !slices.Equal(e, []string{"/x"}) {
			t.Errorf("ephemerals %q", e)
		}
		for _, r := range s.Log() {
			if r.Path != "" && !strings.HasPrefix(r.Path, "/app") {
				t.Errorf("the server saw %+v", r)
			}
		}
	})
}

// A lost connection: what was never sent waits, what only reads is sent again, a write whose answer is missing fails and says so.
func TestConnectionLoss(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fate    fakezk.Fate
		applied bool
	}{{"before", fakezk.DropBefore, false}, {"after", fakezk.DropAfter, true}} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
				must[string](t)(c.Create(ctx, "/n", nil, client.CreateOptions{}))
				drops := 2
				s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
					if drops > 0 && (r.Op == zk.OpSetData || r.Op == zk.OpGetData) {
						drops--
						v.Fate = tt.fate
					}
					return v
				})
				_, err := c.Set(ctx, "/n", []byte("v"), -1)
				if !errors.Is(err, zk.ErrConnectionLoss) || !client.OutcomeUnknown(err) {
					t.Fatalf("lost write: %v", err)
				}
				data, _, err := c.Get(ctx, "/n") // dropped once, sent again
				check(t, err)
				if (string(data) == "v") != tt.applied {
					t.Errorf("data %q", data)
				}
				servers := make(map[string]bool)
				for _, r := range s.Log() {
					servers[r.Server] = true
				}
				if len(servers) < 2 {
					t.Errorf("it stayed at %v", servers)
				}
			})
		})
	}
}

// A read that every server hangs up on is not sent for ever.
func TestPoisonedRead(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
			if r.Path == "/poison" {
				v.Fate = fakezk.DropBefore
			}
			return v
		})
		_, _, err := c.Get(ctx, "/poison")
		if !errors.Is(err, zk.ErrConnectionLoss) || client.OutcomeUnknown(err) || len(s.Log()) != 5 {
			t.Errorf("%v after %d requests", err, len(s.Log()))
		}
	})
}

func TestUnsentWaits(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			s.Refuse(a, errors.New("down"))
		}
		s.DropAll()
		synctest.Wait()
		if st := c.State().State; st != zk.StateDisconnected {
			t.Fatalf("state %d", st)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := c.Create(short, "/never", nil, client.CreateOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || client.OutcomeUnknown(err) {
			t.Errorf("given up before it was sent: %v", err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := c.Create(ctx, "/later", nil, client.CreateOptions{})
			done <- err
		}()
		synctest.Wait()
		s.Refuse("b:1", nil)
		check(t, <-done)
		if _, ok, _ := c.Exists(ctx, "/never"); ok {
			t.Error("the abandoned create was carried out")
		}
	})
}

func TestCancelAfterSending(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
			if strings.HasPrefix(r.Path, "/silent") {
				v.Fate = fakezk.Silent
			}
			return v
		})
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := c.Create(short, "/silent", nil, client.CreateOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || !client.OutcomeUnknown(err) {
			t.Errorf("write: %v", err)
		}
		_, _, err = c.Get(short, "/silent")
		if !errors.Is(err, context.DeadlineExceeded) || client.OutcomeUnknown(err) {
			t.Errorf("read: %v", err)
		}
	})
}

// A context that ends at the moment of the answer gives the one or the other, never half of it. Real time, for the race detector.
func TestCancelWhileAnswering(t *testing.T) {
	s := fakezk.New()
	defer s.Close()
	c, err := client.Connect(t.Context(), "a", client.Options{Dial: s.Dial})
	check(t, err)
	defer c.Close()
	answered := 0
	for i := range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		s.Hook(func(fakezk.Request) fakezk.Verdict {
			go cancel()
			return fakezk.Verdict{}
		})
		want := fmt.Sprintf("/%d", i)
		switch path, err := c.Create(ctx, want, nil, client.CreateOptions{}); {
		case err == nil && path == want:
			answered++
		case errors.Is(err, context.Canceled) && client.OutcomeUnknown(err):
		default:
			t.Fatalf("%q, %v", path, err)
		}
		cancel()
	}
	t.Logf("%d of 500 answered first", answered)
}

// A silent server is left after two thirds of the timeout; pings keep an idle connection.
func TestSilenceAndPings(t *testing.T) {
	bubble(t, client.Options{SessionTimeout: 9 * time.Second}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		time.Sleep(time.Minute) // the fake clock's
		changes, stop := c.States()
		defer stop()
		if first := <-changes; first.State != zk.StateSyncConnected {
			t.Fatalf("idle client: %+v", first)
		}
		if n := len(s.Log()); n != 0 || s.Connections() != 1 {
			t.Fatalf("%d requests, %d connections: it did not keep the one", n, s.Connections())
		}
		s.Mute(true)
		start := time.Now()
		lost := <-changes
		if d := time.Since(start); lost.State != zk.StateDisconnected || d > 6*time.Second || d < 3*time.Second {
			t.Errorf("%+v after %v of silence", lost, d)
		}
		s.Mute(false)
		_, err := c.Create(ctx, "/x", nil, client.CreateOptions{})
		check(t, err)
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		_, _, w, err := c.ExistsW(ctx, "/x")
		check(t, err)
		s.Expire(c.SessionID())
		<-c.Done()
		if !errors.Is(c.Err(), zk.ErrSessionExpired) {
			t.Errorf("Err %v", c.Err())
		}
		if _, ok := <-w.Events(); ok || !errors.Is(w.Err(), zk.ErrSessionExpired) {
			t.Errorf("watch: %v, %v", ok, w.Err())
		}
		if _, _, err := c.Get(ctx, "/x"); !errors.Is(err, zk.ErrSessionExpired) {
			t.Errorf("call: %v", err)
		}
	})
}

func TestDetachAndTakeUp(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		must[string](t)(c.Create(ctx, "/e", nil, client.CreateOptions{Mode: zk.ModeEphemeral}))
		session := c.Detach()
		if _, _, err := c.Get(ctx, "/e"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("after Detach: %v", err)
		}
		again, err := client.Connect(ctx, "b", client.Options{Dial: s.Dial, Session: session})
		check(t, err)
		if again.SessionID() != session.ID {
			t.Errorf("session %#x, want %#x", again.SessionID(), session.ID)
		}
		if e := must[[]string](t)(again.Ephemerals(ctx, "/")); len(e) != 1 {
			t.Errorf("ephemerals %q", e)
		}
		check(t, again.Close())
		check(t, again.Close())
		if _, err := client.Connect(ctx, "b", client.Options{Dial: s.Dial, Session: session}); !errors.Is(err, zk.ErrSessionExpired) {
			t.Errorf("a session that is gone: %v", err)
		}
	})
}

func TestCannotConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakezk.New()
		defer s.Close()
		s.Refuse("a:1", errors.New("connection refused"))
		s.Refuse("b:1", io.EOF)
		_, err := client.Connect(t.Context(), "a:1,b:1", client.Options{Dial: s.Dial, ConnectRounds: 2})
		var ce *client.ConnectError
		if !errors.As(err, &ce) || !errors.Is(err, client.ErrNotServing) {
			t.Fatal(err)
		}
		want := "client: cannot connect: a:1: connection refused; b:1: the server accepts connections but grants no session (no quorum?)"
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err = client.Connect(ctx, "a:1,b:1", client.Options{Dial: s.Dial}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("by context: %v", err)
		}
	})
}

func TestAuth(t *testing.T) {
	id := client.Auth{Scheme: "digest", Auth: []byte("u:p")}
	bubble(t, client.Options{Auth: []client.Auth{id}}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		check(t, c.AddAuth(ctx, client.Auth{Scheme: "digest", Auth: []byte("v:q")}))
		s.DropAll()
		synctest.Wait()
		ids := must[[]zk.ID](t)(c.WhoAmI(ctx))
		if !slices.Equal(ids[1:], []zk.ID{{Scheme: "digest", ID: "u:p"}, {Scheme: "digest", ID: "v:q"}}) {
			t.Errorf("identities after reconnecting: %v", ids)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := fakezk.New()
		defer s.Close()
		_, err := client.Connect(t.Context(), "a", client.Options{Dial: s.Dial, Auth: []client.Auth{id, {Scheme: "none"}}})
		if !errors.Is(err, zk.ErrAuthFailed) {
			t.Errorf("refused identity: %v", err)
		}
	})
}

// Requests of one goroutine leave in order, those of many share the connection, and the bound on pending bytes holds.
func TestOrderAndBound(t *testing.T) {
	bubble(t, client.Options{MaxPendingBytes: 4 << 10}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					if _, err := c.Create(ctx, fmt.Sprintf("/%d-%d", g, i), make([]byte, 100), client.CreateOptions{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		next := make(map[string]int)
		for _, r := range s.Log() {
			var g, i int
			if _, err := fmt.Sscanf(r.Path, "/%d-%d", &g, &i); err == nil {
				key := fmt.Sprint(g)
				if next[key] != i {
					t.Fatalf("goroutine %d: create %d came, %d expected", g, i, next[key])
				}
				next[key]++
			}
		}
		if s.Nodes() != 4+400 {
			t.Errorf("%d nodes", s.Nodes())
		}
	})
}

func TestParseServers(t *testing.T) {
	for _, tt := range []struct {
		in      string
		servers []string
		chroot  string
		bad     string
	}{
		{in: "a", servers: []string{"a:2181"}},
		{in: "a:1, b:2/x/y", servers: []string{"a:1", "b:2"}, chroot: "/x/y"},
		{in: "[::1]:5,[fe80::1]/", servers: []string{"[::1]:5", "[fe80::1]:2181"}},
		{in: "", bad: "without a name"},
		{in: "a,,b", bad: "without a name"},
		{in: "a:x", bad: "port must be a number"},
		{in: "a:0", bad: "port must be a number"},
		{in: ":1", bad: "no host"},
		{in: "::1", bad: "brackets"},
		{in: "a/x/", bad: "chroot"},
	} {
		servers, chroot, err := client.ParseServers(tt.in)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%q: %v, want %q", tt.in, err, tt.bad)
			}
			continue
		}
		if err != nil || !slices.Equal(servers, tt.servers) || chroot != tt.chroot {
			t.Errorf("%q: %q %q %v", tt.in, servers, chroot, err)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]client.Options{
		"short timeout": {SessionTimeout: time.Microsecond},
		"long timeout":  {SessionTimeout: 1000 * time.Hour},
		"password":      {Session: client.Session{ID: 1, Passwd: []byte("short")}},
		"negative":      {MaxReplyBytes: -1},
	} {
		if _, err := client.Connect(t.Context(), "a", o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
