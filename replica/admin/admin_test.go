package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/replica"
)

// tally counts commands.
type tally struct{ n atomic.Int64 }

func (c *tally) Apply(replica.Command) any   { return c.n.Add(1) }
func (c *tally) View() (replica.View, error) { return tallyView(c.n.Load()), nil }
func (c *tally) Restore(r io.Reader) error {
	var n int64
	_, err := fmt.Fscan(r, &n)
	c.n.Store(n)
	return err
}

type tallyView int64

func (v tallyView) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintln(w, int64(v))
	return int64(n), err
}
func (tallyView) Close() {}

type service struct {
	id    uint16
	r     *replica.Replica
	sm    *tally
	http  *httptest.Server
	admin *Client
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func start(t *testing.T, id uint16, dir string, peers map[uint16]string, o Options) *service {
	t.Helper()
	s := &service{id: id, sm: &tally{}}
	var err error
	if s.r, err = replica.Start(replica.Config{Dir: dir, ServerID: id, Peers: peers, Tick: 5 * time.Millisecond, Logger: quiet()}, s.sm); err != nil {
		t.Fatal(err)
	}
	o.Logger = quiet()
	s.http = httptest.NewServer(Handler(s.r, o))
	s.admin = &Client{Addr: s.http.URL}
	t.Cleanup(func() {
		s.r.Close()
		s.http.Close()
	})
	return s
}

func ports(t *testing.T, n int) map[uint16]string {
	peers := map[uint16]string{}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		peers[uint16(i+1)] = l.Addr().String()
	}
	return peers
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// leader waits for one and returns it.
func leader(t *testing.T, servers []*service) *service {
	t.Helper()
	for ctx := within(t); ctx.Err() == nil; {
		for _, s := range servers {
			if st, err := s.admin.Status(ctx); err == nil && st.Leads {
				return s
			}
		}
	}
	t.Fatal("no leader")
	return nil
}

// onLeader tries until the leader has done it: who leads may change in between, and a server may need a moment to catch up.
func onLeader(t *testing.T, servers []*service, do func(c *Client) error) {
	t.Helper()
	ctx := within(t)
	var err error
	for ctx.Err() == nil {
		err = do(leader(t, servers).admin)
		var e *Error
		if !errors.As(err, &e) || !e.NotLeader() && e.Status != http.StatusConflict {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func kinds(s *Status) string {
	var b strings.Builder
	for _, m := range s.Members {
		fmt.Fprintf(&b, "%d %s ", m.Server, m.Kind)
	}
	return b.String()
}

func TestMembersAreChangedOverHTTP(t *testing.T) {
	peers := ports(t, 4)
	first := map[uint16]string{1: peers[1], 2: peers[2], 3: peers[3]}
	var servers []*service
	for id := uint16(1); id <= 3; id++ {
		servers = append(servers, start(t, id, filepath.Join(t.TempDir(), "d"), first, Options{}))
	}
	for _, s := range servers {
		if _, err := s.r.Do(within(t), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	l := leader(t, servers)
	follower := servers[l.id%3]
	_, err := follower.admin.Transfer(within(t), 0)
	var e *Error
	if !errors.As(err, &e) || !e.NotLeader() || e.Leader != l.id {
		t.Errorf("a transfer asked of a follower: %v (%+v), want a hint at server %d", err, e, l.id)
	}
	onLeader(t, servers, func(c *Client) error {
		s, err := c.Status(within(t))
		if err != nil || s.Server == follower.id {
			return err
		}
		_, err = c.Transfer(within(t), follower.id)
		return err
	})
	if got := leader(t, servers); got != follower {
		t.Errorf("server %d leads after a transfer to %d", got.id, follower.id)
	}

	_, err = leader(t, servers).admin.Add(within(t), 4, false)
	if !errors.As(err, &e) || e.Status != http.StatusConflict && !e.NotLeader() || !strings.Contains(err.Error(), "start them") {
		t.Errorf("a server that is not there is added: %v", err)
	}
	servers = append(servers, start(t, 4, filepath.Join(t.TempDir(), "d"), peers, Options{}))
	if err := servers[3].r.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	want := func(text string) {
		t.Helper()
		s, err := leader(t, servers[:3]).admin.Status(within(t))
		if err != nil || kinds(s) != text {
			t.Errorf("the members are %q (%v), want %q", kinds(s), err, text)
		}
	}
	onLeader(t, servers, func(c *Client) error { _, err := c.Add(within(t), 4, true); return err })
	want("1 voter 2 voter 3 voter 4 observer ")
	onLeader(t, servers, func(c *Client) error { _, err := c.Add(within(t), 4, false); return err })
	want("1 voter 2 voter 3 voter 4 voter ")
	onLeader(t, servers, func(c *Client) error { _, err := c.Remove(within(t), 4); return err })
	_, err = leader(t, servers[:3]).admin.Remove(within(t), 9)
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest {
		t.Errorf("a server that nobody knows is removed: %v", err)
	}
	if servers[0].sm.n.Load() != 3 {
		t.Errorf("%d commands were applied, want 3", servers[0].sm.n.Load())
	}
}

func TestBackupLogAndMetrics(t *testing.T) {
	s := start(t, 1, filepath.Join(t.TempDir(), "d"), nil, Options{})
	for range 3 {
		if _, err := s.r.Do(within(t), []byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	part, err := s.admin.Log(within(t), 0, 1000)
	if err != nil || len(part.Entries) == 0 || string(part.Entries[len(part.Entries)-1].Commands[0].Data) != "abc" {
		t.Errorf("log: %+v, %v", part, err)
	}
	if _, err := s.admin.Log(within(t), 0, 0); err == nil {
		t.Error("a log of no entries")
	}
	var b bytes.Buffer
	info, err := s.admin.Backup(within(t), &b)
	if err != nil || info.Machine != "*admin.tally" {
		t.Fatalf("backup: %+v, %v", info, err)
	}
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := replica.Restore(replica.RestoreConfig{Dir: dir, ServerID: 7, Logger: quiet()}, &b); err != nil {
		t.Fatal(err)
	}
	again := start(t, 7, dir, nil, Options{})
	if err := again.r.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := again.sm.n.Load(); n != 3 {
		t.Errorf("%d commands in the restored one, want 3", n)
	}
	if st, err := s.admin.Snapshot(within(t)); err != nil || st.Snapshot != st.Applied {
		t.Errorf("snapshot: %+v, %v", st, err)
	}
	resp, err := http.Get(s.http.URL + Prefix + "metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, want := range []string{"replica_leader 1\n", "replica_commands_total 3\n", `replica_member_connected{server="1",kind="voter"} 1`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the metrics lack %q: %s (%v)", want, text, err)
		}
	}
}

func TestGuard(t *testing.T) {
	s := start(t, 1, filepath.Join(t.TempDir(), "d"), nil, Options{Authorize: func(r *http.Request) error {
		if r.Header.Get("Authorization") != "sesame" {
			return errors.New("say the word")
		}
		return nil
	}})
	var e *Error
	if _, err := s.admin.Snapshot(within(t)); !errors.As(err, &e) || e.Status != http.StatusForbidden || e.Text != "say the word" {
		t.Errorf("without the word: %v", err)
	}
	s.admin.Authorization = "sesame"
	if _, err := s.r.Do(within(t), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.admin.Snapshot(within(t)); err != nil {
		t.Errorf("with the word: %v", err)
	}
	req := httptest.NewRequest("POST", Prefix+"snapshot", nil)
	req.Header.Set("Authorization", "sesame")
	w := httptest.NewRecorder()
	Handler(s.r, Options{}).ServeHTTP(w, req)
	if w.Code != http.StatusForbidden {
		t.Errorf("without the header that a browser asks for: %d", w.Code)
	}
	req.Header.Set(Header, "1")
	req.RemoteAddr = "192.0.2.1:5"
	w = httptest.NewRecorder()
	Handler(s.r, Options{}).ServeHTTP(w, req)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "this machine") {
		t.Errorf("from elsewhere: %d %s", w.Code, w.Body)
	}
	other := &Client{Addr: httptest.NewServer(http.NotFoundHandler()).URL}
	if _, err := other.Status(within(t)); err == nil || !strings.Contains(err.Error(), "is this the admin port") {
		t.Errorf("asked of something else: %v", err)
	}
}

func TestFromHere(t *testing.T) {
	for _, c := range []struct {
		remote, host, header string
		want                 bool
	}{
		{"127.0.0.1:5", "127.0.0.1:8080", "", true},
		{"127.0.0.1:5", "localhost", "", true},
		{"[::1]:5", "[::1]:8080", "", true},
		{"192.0.2.1:5", "localhost:8080", "", false},
		{"127.0.0.1:5", "rebound.example:8080", "", false}, // a page of a stranger whose name leads here
		{"127.0.0.1:5", "db1:8080", "", false},             // a proxy that keeps the name
		{"127.0.0.1:5", "localhost:8080", "X-Forwarded-For", false},
		{"127.0.0.1:5", "localhost:8080", "Forwarded", false},
		{"127.0.0.1:5", "localhost:8080", "Via", false},
	} {
		req := httptest.NewRequest("GET", Prefix+"status", nil)
		req.RemoteAddr, req.Host = c.remote, c.host
		if c.header != "" {
			req.Header.Set(c.header, "192.0.2.1")
		}
		if got := FromHere(req); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
