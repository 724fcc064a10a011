package server

import (
	"fmt"
	"io"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/replica"
	"gopherwood/zk"
)

// The state machine: the tree, and what its changes mean to this server's clients. The methods of this file are called by the
// replica's loop goroutine alone.

// loopState belongs to the loop goroutine.
type loopState struct {
	cmd     tree.Command
	res     tree.Result
	handles []watch.Handle
	told    []*conn
	event   []byte
	dirty   []*conn // connections that got something in this batch

	entry entryStages

	lacksConfig bool       // this server serves once /zookeeper/config is written
	hasConfig   bool       // it was seen to be written
	early       []*opening // to be answered then: one for each connection at most

	clock func() int64 // Server.now; constant
	nowNs int64        // it at the first Done of the batch; 0 before it

	// of this batch, added to the counters at its end
	sent, answered, writes, eventBytes, applied int64
	proposal                                    span // bytes of commands
	reply                                       span // bytes of replies to writes
}

// span is the last, the smallest and the largest of some sizes; seen is how many there were.
type span struct{ seen, last, low, high int64 }

func (p *span) add(n int64) {
	if p.seen++; p.seen == 1 || n < p.low {
		p.low = n
	}
	p.last, p.high = n, max(p.high, n)
}

// flush hands the sizes to z and begins anew.
func (p *span) flush(z *sizes) {
	if p.seen > 0 {
		z.add(p.last, p.low, p.high)
		*p = span{}
	}
}

// touch notes that c has something to be sent at the end of the batch.
func (l *loopState) touch(c *conn) {
	if !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, c)
	}
}

// since is how long ago startNs was, as of this batch.
func (l *loopState) since(startNs int64) time.Duration {
	if l.nowNs == 0 {
		l.nowNs = l.clock()
	}
	return time.Duration(l.nowNs - startNs)
}

// BeginBatch implements replica.Batcher: readers are locked out until EndBatch.
func (s *Server) BeginBatch() { s.treeMu.Lock() }

// EndBatch implements replica.Batcher: readers may go on, and what the batch has to say is sent.
func (s *Server) EndBatch() {
	l := &s.loop
	dirty := l.dirty
	for _, c := range dirty {
		c.dirty = false
		c.mu.Lock()
		if !c.dead {
			c.settleLocked()
		}
		c.mu.Unlock()
	}
	s.zxid.Store(s.tree.LastZxid())
	s.treeMu.Unlock()
	endNs := int64(0)
	if s.observed.on {
		endNs = s.observeBatch(l.writes)
	}
	if l.sent > 0 {
		s.stats.sent.Add(l.sent)
	}
	if l.answered > 0 {
		s.finished(l.answered)
	}
	if l.applied > 0 {
		s.stats.applied.Add(l.applied)
		l.proposal.flush(&s.stats.proposals)
		l.reply.flush(&s.stats.replies)
	}
	if l.eventBytes > 0 {
		s.stats.eventBytes.Add(l.eventBytes)
	}
	l.sent, l.answered, l.writes, l.eventBytes, l.applied, l.nowNs = 0, 0, 0, 0, 0, 0
	s.flushAll(dirty, endNs)
	clear(dirty)
	l.dirty = dirty[:0]
}

const (
	// flushAlone: the loop itself writes to so few connections; waking another goroutine would cost more.
	flushAlone = 2
	// flushEach is how many connections a flusher should have at least.
	flushEach = 8
)

// flushAll sends what the connections have, on flushers of their own if there are many.
// endNs is when they were appended; 0: nobody wants to know.
func (s *Server) flushAll(dirty []*conn, endNs int64) {
	if len(dirty) <= flushAlone {
		for _, c := range dirty {
			c.flushNow()
		}
		s.observeFlush(len(dirty), endNs)
		return
	}
	parts := min(s.flushers(), (len(dirty)+flushEach-1)/flushEach)
	for i := range parts {
		part := s.flushes.Get().(*flush)
		part.endNs = endNs
		part.conns = append(part.conns[:0], dirty[len(dirty)*i/parts:len(dirty)*(i+1)/parts]...)
		s.spawn(part.run)
	}
}

// flush is the work of one flusher.
type flush struct {
	s     *Server
	conns []*conn
	endNs int64 // see flushAll
	run   func()
}

func (s *Server) newFlush() any {
	f := &flush{s: s}
	f.run = f.send
	return f
}

func (f *flush) send() {
	for _, c := range f.conns {
		c.flushNow()
	}
	f.s.observeFlush(len(f.conns), f.endNs)
	clear(f.conns)
	f.s.flushes.Put(f)
}

// observeFlush measures how long it took until n connections had been sent what they have.
func (s *Server) observeFlush(n int, endNs int64) {
	if endNs != 0 && n > 0 {
		s.observed.stages[stageReply].add(int64(n), time.Duration(s.now()-endNs))
	}
}

// Apply implements replica.StateMachine. The result is a *tree.Result that lasts until the next Apply.
func (s *Server) Apply(c replica.Command) any {
	cmd, res := &s.loop.cmd, &s.loop.res
	if err := cmd.Decode(c.Data); err != nil {
		panic(fmt.Sprintf("server: entry %d of term %d holds a command that this version cannot read: %v", c.Index, c.Term, err))
	}
	s.nextEntry(c.Index)
	s.loop.applied++
	s.loop.proposal.add(int64(len(c.Data)))
	doomed := s.ephemeralsOf(cmd)
	s.tree.Apply(tree.Env{Index: c.Index, Term: c.Term, TimeMs: c.TimeMs, Origin: c.Origin}, cmd, res)
	s.lead.timeMs = c.TimeMs
	if len(res.Events) > 0 {
		s.fire(res.Events)
	}
	if len(res.Quotas) > 0 && c.Origin == s.origin() {
		s.tellQuotas(res.Quotas)
	}
	if s.cfg.Audit != nil && (cmd.Kind == tree.KindWrite || cmd.Kind == tree.KindMulti) {
		s.auditWrite(c, cmd, res)
	}
	switch cmd.Kind {
	case tree.KindCreateSession:
		if res.Code == zk.OK {
			s.lead.live.Add(cmd.Session, res.Session.TimeoutMs)
		}
	case tree.KindAttachSession:
		if res.Code == zk.OK {
			s.attached(&res.Session, c.Origin)
		}
	case tree.KindExpire, tree.KindCloseSession:
		s.ended(cmd.Kind, res.Closed)
		s.auditEnded(doomed, res.Closed)
	case tree.KindConfig:
		s.configWritten()
	case tree.KindRestore:
		if res.Code == zk.OK {
			s.replaced()
		}
	case tree.KindReap:
		s.stats.reaped.Add(int64(len(res.Ops)))
	}
	return res
}

// attached notes a session's new owner. A connection that it still has here, if the new one is elsewhere, is left alone until
// it asks for something: its client is most likely gone, and if it is not, it would come back at once and take the session back.
func (s *Server) attached(info *tree.SessionInfo, origin uint64) {
	s.lead.live.Add(info.ID, info.TimeoutMs)
	if origin == s.origin() {
		return
	}
	if c := s.sessionConn(info.ID); c != nil {
		c.movedNs.CompareAndSwap(0, s.now())
	}
}

// ended forgets sessions. The connection of one that expired is closed; one that its client closes is about to be answered.
func (s *Server) ended(kind tree.Kind, closed []tree.ClosedSession) {
	for _, e := range closed {
		s.lead.live.Remove(e.ID)
		if kind != tree.KindExpire {
			continue
		}
		s.stats.expired.Add(1)
		if s.lead.mine() { // one server's word is enough
			s.noisy.info("a session has expired", "session", hex(e.ID))
		}
		if c := s.sessionConn(e.ID); c != nil {
			c.kill("its session has expired")
		}
	}
}

// configWritten lets those in who have waited for /zookeeper/config.
func (s *Server) configWritten() {
	s.loop.hasConfig = true
	if s.loop.lacksConfig {
		s.loop.lacksConfig = false
		s.hasCaughtUp()
	}
	for _, o := range s.loop.early {
		o.finish(zk.OK)
	}
	s.loop.early = nil
}

// View implements replica.StateMachine.
func (s *Server) View() (replica.View, error) {
	v := s.tree.View()
	return &notedView{View: v, s: s, taken: snapshotTaken{zxid: v.Zxid()}}, nil
}

// Restore implements replica.StateMachine: the state jumps to that of a snapshot. Watches cannot tell what happened in between, so
// the clients have to come back and arm them again.
func (s *Server) Restore(r io.Reader) error {
	err := s.restore(r)
	if s.ready.Load() {
		s.beginToCatchUp()
	}
	if n := s.killAll("this server was behind and took over a snapshot"); n > 0 {
		s.log.Warn("this server was behind and took over a snapshot from the leader, so its clients have to reconnect", "clients", n)
	}
	return err
}

// restore is the part of Restore that locks readers out; a panic lets them in again.
func (s *Server) restore(r io.Reader) error {
	s.treeMu.Lock()
	defer s.treeMu.Unlock()
	err := s.tree.Restore(r)
	s.zxid.Store(s.tree.LastZxid())
	s.lastSnapshot.Store(&snapshotTaken{zxid: s.tree.LastZxid(), at: s.clock()})
	return err
}

// Digest implements replica.Digester.
func (s *Server) Digest() uint64 { return s.tree.Digest() }

var (
	_ replica.StateMachine    = (*Server)(nil)
	_ replica.Batcher         = (*Server)(nil)
	_ replica.LeaderObserver  = (*Server)(nil)
	_ replica.MembersObserver = (*Server)(nil)
	_ replica.Ticker          = (*Server)(nil)
	_ replica.MessageHandler  = (*Server)(nil)
	_ replica.Digester        = (*Server)(nil)
)
