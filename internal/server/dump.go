package server

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/replica"
)

// What dump, wchc and wchp list. Each list is bounded by maxListed.

// expiries asks the loop goroutine when sessions are due: Done runs there. ok is false on a server that does not lead, or that gets no answer in
// time; then nobody here knows.
func (s *Server) expiries() (due map[int64][]int64, ok bool) {
	if !s.ready.Load() || s.leadingFor() == 0 {
		return nil, false
	}
	w := &expiryAsker{s: s, due: make(chan map[int64][]int64, 1)}
	s.rep.Barrier(w)
	timer := time.NewTimer(askLoopTimeout)
	defer timer.Stop()
	select {
	case due = <-w.due:
		return due, due != nil
	case <-timer.C:
		return nil, false
	}
}

// expiryAsker is the waiter of a barrier that reads what only the loop goroutine may.
type expiryAsker struct {
	s   *Server
	due chan map[int64][]int64 // has room for the one answer
}

// Done implements replica.Waiter.
func (w *expiryAsker) Done(_ any, err error) {
	if err != nil || !w.s.lead.mine() {
		w.due <- nil
		return
	}
	due := make(map[int64][]int64)
	n := 0
	w.s.lead.live.Walk(func(id, dueMs int64) bool {
		due[dueMs] = append(due[dueMs], id)
		n++
		return n < maxListed
	})
	w.due <- due
}

var _ replica.Waiter = (*expiryAsker)(nil)

// sessionTimeouts are the sessions of the ensemble, by id.
func (s *Server) sessionTimeouts() (infos []tree.SessionInfo) {
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	s.tree.Sessions(func(i tree.SessionInfo) bool {
		infos = append(infos, i)
		return len(infos) < maxListed
	})
	slices.SortFunc(infos, func(a, b tree.SessionInfo) int { return compareIDs(a.ID, b.ID) })
	return infos
}

func compareIDs(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ephemeralPaths are the ephemeral nodes by their session.
func (s *Server) ephemeralPaths() map[int64][]string {
	owners := s.sessionTimeouts()
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	all := make(map[int64][]string)
	n := 0
	for _, o := range owners {
		s.tree.Ephemerals(o.ID, "/", func(path string) bool {
			all[o.ID] = append(all[o.ID], path)
			n++
			return n < maxListed
		})
		if n >= maxListed {
			break
		}
	}
	return all
}

// watched are this server's watches: which session watches which paths. Connections that have gone meanwhile are left out.
func (s *Server) watched() map[int64][]string {
	type pair struct {
		h    watch.Handle
		path string
	}
	var pairs []pair
	s.watchMu.Lock()
	s.watches.Walk(func(h watch.Handle, path string, _ watch.Kind) bool {
		pairs = append(pairs, pair{h, path})
		return len(pairs) < maxListed
	})
	s.watchMu.Unlock()
	sessions := make(map[watch.Handle]int64)
	for _, c := range s.conns() {
		c.mu.Lock()
		sessions[c.handle] = c.session
		c.mu.Unlock()
	}
	all := make(map[int64][]string)
	for _, p := range pairs {
		if id := sessions[p.h]; id != 0 {
			all[id] = append(all[id], p.path)
		}
	}
	for _, paths := range all {
		slices.Sort(paths)
	}
	return all
}

// byPath turns watched around.
func byPath(watched map[int64][]string) map[string][]int64 {
	all := make(map[string][]int64)
	for _, id := range slices.Sorted(maps.Keys(watched)) {
		for _, path := range watched[id] {
			all[path] = append(all[path], id)
		}
	}
	return all
}

func (s *Server) writeDump(b *bytes.Buffer) {
	b.WriteString("SessionTracker dump:\n")
	infos := s.sessionTimeouts()
	if due, ok := s.expiries(); ok {
		fmt.Fprintf(b, "Session Sets (%d)/(%d):\n", len(due), len(infos))
		for _, at := range slices.Sorted(maps.Keys(due)) {
			ids := due[at]
			slices.Sort(ids)
			fmt.Fprintf(b, "%d expire at %s:\n", len(ids), time.UnixMilli(at).UTC().Format(javaDate))
			for _, id := range ids {
				b.WriteString("\t" + hex(id) + "\n")
			}
		}
	} else {
		fmt.Fprintf(b, "Global Sessions(%d):\n", len(infos))
		for _, i := range infos {
			fmt.Fprintf(b, "%s\t%dms\n", hex(i.ID), i.TimeoutMs)
		}
	}
	paths := s.ephemeralPaths()
	fmt.Fprintf(b, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(paths))
	for _, id := range slices.Sorted(maps.Keys(paths)) {
		b.WriteString(hex(id) + ":\n")
		for _, p := range paths[id] {
			b.WriteString("\t" + p + "\n")
		}
	}
	s.writeConnSets(b)
}

// javaDate is how Java's Date prints itself.
const javaDate = "Mon Jan 02 15:04:05 MST 2006"

// writeConnSets lists connections by when they end for want of a sign of life (NIOServerCnxnFactory.dumpConnections). Here only those without a
// session have such a time of their own: the others end with their sessions.
func (s *Server) writeConnSets(b *bytes.Buffer) {
	conns := s.conns()
	fmt.Fprintf(b, "Connections dump:\nConnections Sets (%d)/(%d):\n", min(1, len(conns)), len(conns))
	if len(conns) == 0 {
		return
	}
	fmt.Fprintf(b, "%d expire at %s:\n", len(conns), time.Now().Add(s.cfg.HandshakeTimeout).UTC().Format(javaDate))
	for _, c := range conns {
		c.mu.Lock()
		session := c.session
		c.mu.Unlock()
		fmt.Fprintf(b, "\tip: /%s sessionId: %s\n", c, hex(session))
	}
}

func (s *Server) writeWchc(b *bytes.Buffer) {
	watched := s.watched()
	for _, id := range slices.Sorted(maps.Keys(watched)) {
		b.WriteString(hex(id) + "\n")
		for _, p := range watched[id] {
			b.WriteString("\t" + p + "\n")
		}
	}
	b.WriteByte('\n')
}

func (s *Server) writeWchp(b *bytes.Buffer) {
	paths := byPath(s.watched())
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		b.WriteString(p + "\n")
		for _, id := range paths[p] {
			b.WriteString("\t" + hex(id) + "\n")
		}
	}
	b.WriteByte('\n')
}

// digestVersion is the format of the state's digest; ZooKeeper's is 2, of another construction.
const digestVersion = 1

// stateDigest is the tree's digest and the zxid that it is of.
func (s *Server) stateDigest() (zxid int64, digest uint64) {
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	return s.tree.LastZxid(), s.tree.Digest()
}

func (s *Server) writeHash(b *bytes.Buffer) {
	zxid, digest := s.stateDigest()
	fmt.Fprintf(b, "%x: %d\n", zxid, int64(digest))
}

// There is no trace to mask: what a server does is in its log, by level.
func (s *Server) writeTraceMask(b *bytes.Buffer) { b.WriteString("0") }
