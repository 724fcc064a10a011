package server

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/replica"
	"gopherwood/zk"
)

// The commands of the admin port that need an identity: snapshot, and restore in admin_restore.go (ZOOKEEPER-4570, 4571).

// adminCall is one request to a command that wants more than a place to put its answer.
type adminCall struct {
	object
	request *http.Request
	writer  http.ResponseWriter
	status  int // 0: 200
	err     any // text, nil for none

	// stream, if not nil, sends the answer in place of the JSON; the headers are set.
	stream func(w io.Writer) error
	header http.Header
}

// fail gives the answer a status and an error. Status 0 is ZooKeeper's way: 200.
func (c *adminCall) fail(status int, text string) { c.status, c.err = status, text }

// snapshotTaken is the last snapshot that was written or taken over.
type snapshotTaken struct {
	zxid int64
	at   time.Time
}

// notedView is a View of the replica's that notes when it was written.
type notedView struct {
	*tree.View
	s       *Server
	taken   snapshotTaken
	written bool // by WriteTo, which has ended when Close is called
}

// WriteTo implements replica.View.
func (v *notedView) WriteTo(w io.Writer) (int64, error) {
	began := time.Now()
	n, err := v.View.WriteTo(w)
	if v.written = err == nil; v.written {
		v.s.stats.snapshots.add(1, time.Since(began))
	}
	return n, err
}

// Close implements replica.View.
func (v *notedView) Close() {
	v.View.Close()
	if v.written {
		v.taken.at = time.Now()
		v.s.lastSnapshot.Store(&v.taken)
	}
}

var _ replica.View = (*notedView)(nil)

// adminGate admits one snapshot at a time, and one per interval.
type adminGate struct {
	mu   sync.Mutex
	busy bool
	last time.Time
}

// enter is false while one is under way or the last one began less than interval ago.
func (g *adminGate) enter(interval time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy || !g.last.IsZero() && time.Since(g.last) < interval {
		return false
	}
	g.busy, g.last = true, time.Now()
	return true
}

func (g *adminGate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
}

// mayAll says whether a request proves an identity that the root's ACL gives every permission (Commands.handleAuthorization); otherwise
// it has the answer in c.
func (s *Server) mayAll(c *adminCall) bool {
	info := c.request.Header.Get("Authorization")
	if info == "" {
		c.fail(http.StatusUnauthorized, "Auth info is missing for the command")
		return false
	}
	scheme, secret, _ := strings.Cut(info, " ")
	ids := s.adminIdentities(c.request, scheme, secret)
	if len(ids) == 0 {
		s.stats.authFails.Add(1)
		c.fail(http.StatusUnauthorized, "Not authenticated")
		return false
	}
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	if !s.tree.Permits("/", zk.PermAll, ids) {
		c.fail(http.StatusForbidden, "Not authorized")
		return false
	}
	return true
}

// adminIdentities is what the header "Authorization: SCHEME SECRET" proves; nil: nothing.
func (s *Server) adminIdentities(r *http.Request, scheme, secret string) []zk.ID {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	if first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-For"), ","); s.cfg.ForwardedFor && first != "" {
		host = strings.TrimSpace(first)
	}
	ids := []zk.ID{{Scheme: schemeIP, ID: host}}
	switch scheme {
	case schemeIP:
		return ids
	case schemeX509: // the certificate is the secret
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			return append(ids, s.certificateIdentities(r.TLS)...)
		}
	case schemeDigest:
		if strings.Contains(secret, ":") && !s.cfg.Security.NoDigest {
			return append(ids, s.digestIdentities(secret)...)
		}
	}
	return nil
}

// adminSnapshot streams this server's state in the format of docs/format/tree-snapshot.md. The state is that of one moment; taking it stops
// nobody for longer than it takes to note which pages there are.
func (s *Server) adminSnapshot(c *adminCall) {
	if s.cfg.NoAdminSnapshot {
		c.fail(http.StatusServiceUnavailable, "the command is switched off by admin.snapshot.enabled")
		return
	}
	if !s.snapshotGate.enter(s.cfg.AdminInterval) {
		s.stats.snapLimited.Add(1)
		c.fail(http.StatusTooManyRequests, "one snapshot per "+s.cfg.AdminInterval.String()+" (admin.rateLimiterIntervalInMS), one at a time")
		return
	}
	v := s.openView()
	v.Unstage()                        // what somebody else restores just now is not of this state
	size, err := v.WriteTo(io.Discard) // so that the reader knows whether it got all of it
	if err != nil {
		s.stats.snapErrors.Add(1)
		s.closeView(v)
		c.fail(http.StatusInternalServerError, err.Error())
		return
	}
	c.header = http.Header{}
	c.header.Set("last_zxid", hex(v.Zxid())) // names of headers have no case
	c.header.Set("snapshot_size", strconv.FormatInt(size, 10))
	if q := c.request.URL.Query(); q.Has("streaming") && !strings.EqualFold(q.Get("streaming"), "true") {
		s.closeView(v)
		return
	}
	c.header.Set("Content-Length", strconv.FormatInt(size, 10))
	c.stream = func(w io.Writer) error {
		defer s.closeView(v)
		_, err := v.WriteTo(w)
		return err
	}
}

func (s *Server) openView() *tree.View {
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	return s.tree.View()
}

func (s *Server) closeView(v *tree.View) {
	s.treeMu.Lock()
	v.Close()
	s.treeMu.Unlock()
	s.snapshotGate.leave()
}

// answer sends what a command has to say.
func (c *adminCall) answer(s *Server, w http.ResponseWriter, name string) {
	for k, v := range c.header {
		w.Header()[k] = v
	}
	if c.stream != nil {
		w.Header().Set("Content-Type", "application/octet-stream")
		// A snapshot takes as long as its reader takes.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
			s.log.Debug("a snapshot's deadline", "error", err)
		}
		if err := c.stream(w); err != nil && c.request.Context().Err() == context.Canceled {
			s.log.Info("a snapshot over the admin port was not read to its end", "client", c.request.RemoteAddr)
		}
		return
	}
	c.put("command", name)
	c.put("error", c.err)
	text, err := json.MarshalIndent(&c.object, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if c.status != 0 {
		w.WriteHeader(c.status)
	}
	_, _ = w.Write(append(text, '\n')) // the client may have gone
}
