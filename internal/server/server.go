package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gopherwood/internal/audit"
	"gopherwood/internal/session"
	"gopherwood/internal/tree"
	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/replica"
)

// Replicator is what the server needs of the replica that it is the state machine of. *replica.Replica is one.
type Replicator interface {
	// Propose appends a command to this server's origin stream; it may block. The bytes are copied.
	Propose(data []byte, w replica.Waiter) error
	// TryPropose never blocks.
	TryPropose(data []byte, w replica.Waiter) error
	// Barrier tells w when this server has applied everything that was committed before the call.
	Barrier(w replica.Waiter)
	// BeginReconfigure makes target the ensemble; done is told on the loop goroutine whether the change is under way.
	BeginReconfigure(target []replica.Member, done func(error))
	// ToMember sends a datagram to another server's Server.Message, best effort; data becomes the replica's.
	ToMember(to uint64, data []byte)
	// ToLeader sends a datagram to the leader's Server.Message, best effort; data becomes the replica's.
	ToLeader(data []byte)
	// Origin is what replica.Command.Origin says of this server's own commands.
	Origin() uint64
	// Status is an account for people. It must not be called on the loop goroutine.
	Status() replica.Status
}

// ErrServerClosed is returned by Serve after Drain or Close.
var ErrServerClosed = errors.New("server: closed")

// Server is the state machine of one replica and the server of its clients. Make it with New, start the replica with it as
// the state machine, give it the replica with Attach, then Serve.
type Server struct {
	// constant after Attach
	cfg       Config
	rt        Runtime // nil: Go's own
	log       *slog.Logger
	noisy     *limiter
	allowed   map[string]bool // four-letter words
	rep       Replicator
	auditUser string // who the server is in its audit log
	start     time.Time

	// guarded by treeMu: written by the loop between BeginBatch and EndBatch
	treeMu sync.RWMutex
	tree   *tree.Tree

	watchMu sync.Mutex
	watches *watch.Table // guarded by watchMu

	// owned by the loop goroutine
	loop loopState
	lead leading

	// atomic
	ready         atomic.Bool            // Attach was called
	draining      atomic.Bool            // Drain was called
	zxid          atomic.Int64           // the tree's last, as of the last batch
	leader        atomic.Uint64          // raft id; 0: none
	caughtUp      atomic.Bool            // since the start, or since a snapshot was taken over, all was applied that was committed then
	movedTo       atomic.Pointer[string] // see clientAddr
	awaySinceNs   atomic.Int64           // now() plus one when this server stopped serving; 0: a leader is known, and caughtUp
	leadingSince  atomic.Int64           // now() when this server began to lead; 0: it does not
	nextSession   atomic.Int64
	outTotal      atomic.Int64 // bytes of large backlogs
	inTotal       atomic.Int64 // bytes of long requests and of waiting reads
	outstanding   atomic.Int64 // requests proposed or queued
	connCount     atomic.Int64
	tlsHandshakes atomic.Int64 // under way
	largeBytes    atomic.Int64 // of large requests under way
	lastSnapshot  atomic.Pointer[snapshotTaken]
	stats         stats

	tokens       *tokens
	turns        turnstile // writes and syncs under way, if they are limited
	openings     turnstile // sessions being opened
	quotaRefused quotaRefusals

	requests   sync.Pool // *request
	encoders   sync.Pool // *encoder
	outs       sync.Pool // *outBuffer
	ins        sync.Pool // *readBuffer
	flushes    sync.Pool // *flush
	multiReads sync.Pool // *wire.MultiRequest

	wg   sync.WaitGroup // readers, writers, flushers, acceptors, the housekeeper
	quit chan struct{}

	house house // owned by the housekeeper

	awayMu sync.Mutex // writers of awaySinceNs

	snapshotGate adminGate
	restoreGate  adminGate
	observed     observing
	slow         *slowLog    // constant
	top          *topTalkers // constant; nil: off

	mu sync.Mutex
	// guarded by mu
	closed    bool
	listeners map[net.Listener]struct{}
	slots     []*conn // by handle
	freeSlots []watch.Handle
	sessions  map[int64]*conn
	locals    map[int64]*localSession
	reconfigs reconfigs
	perIP     map[netip.Addr]int
}

// New makes a server with an empty tree.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Log, rt: cfg.Runtime, quit: make(chan struct{}),
		tree: tree.New(treeOptions), watches: watch.New(cfg.Watches),
		listeners: make(map[net.Listener]struct{}), sessions: make(map[int64]*conn), locals: make(map[int64]*localSession), perIP: make(map[netip.Addr]int),
	}
	s.start = s.clock()
	s.noisy = newLimiter(s.log, s.now)
	s.auditUser = audit.ServerUser()
	s.allowed = allowedWords(cfg.FourLetterWords, cfg.ReadOnly)
	s.tokens = newTokens(cfg.Throttle, cfg.LocalSessions)
	s.turns.limit, s.openings.limit = cfg.Throttle.MaxRequests, maxOpenings
	s.loop.clock = s.now
	s.observed.start(!cfg.Unobserved)
	s.slow = newSlowLog(0)
	if !cfg.Unobserved {
		s.slow = newSlowLog(cfg.SlowRequest)
		s.top = newTop(cfg.TopDepth, 0)
	}
	s.lead.live = session.New(session.Options{TickMs: cfg.TickMs, PauseMs: int64(cfg.MinSessionTimeoutMs) / 4})
	s.lead.addrs = make(map[uint64]string)
	s.awaySinceNs.Store(1)
	s.nextSession.Store(s.start.UnixMilli() << 16)
	s.requests.New = func() any { return new(request) }
	s.encoders.New = func() any { return new(encoder) }
	s.outs.New = func() any { return new(outBuffer) }
	s.ins.New = func() any { return new(readBuffer) }
	s.flushes.New = s.newFlush
	s.multiReads.New = func() any { return new(wire.MultiRequest) }
	return s, nil
}

// Attach gives the server its replica, before Serve. The replica may have begun to apply its log.
func (s *Server) Attach(rep Replicator) {
	s.rep = rep
	if timer, ok := rep.(interface {
		Times(index uint64) replica.Times
	}); ok {
		s.observed.timer = timer
	}
	s.ready.Store(true)
	s.beginToCatchUp()
	if !s.cfg.Manual {
		s.spawn(s.housekeeping)
	}
}

// origin is this server's incarnation; 0 before Attach, when it has no clients.
func (s *Server) origin() uint64 {
	if !s.ready.Load() {
		return 0
	}
	return s.rep.Origin()
}

// lastZxid is the tree's last zxid as of the last batch.
func (s *Server) lastZxid() int64 { return s.zxid.Load() }

// setLeader notes who leads, for those who ask from other goroutines.
func (s *Server) setLeader(id uint64) {
	s.leader.Store(id)
	s.noteServing()
}

// noteServing brings awaySinceNs up to date.
func (s *Server) noteServing() {
	s.awayMu.Lock()
	defer s.awayMu.Unlock()
	if s.leader.Load() != 0 && s.caughtUp.Load() {
		s.awaySinceNs.Store(0)
	} else {
		s.awaySinceNs.CompareAndSwap(0, s.now()+1)
	}
}

// away is for how long this server has not served; 0 if it does.
func (s *Server) away() time.Duration {
	since := s.awaySinceNs.Load()
	if since == 0 {
		return 0
	}
	return max(1, time.Duration(s.now()+1-since))
}

// isServing says whether a leader is known and this server has caught up with it, or that it was so no longer ago than grace.
func (s *Server) isServing(grace time.Duration) bool {
	return s.ready.Load() && s.away() <= grace
}

// beginToCatchUp makes this server serve once it has applied everything that is committed now, as a follower of ZooKeeper's does (Learner.syncWithLeader).
// A client that came earlier would wait, or be sent away when a snapshot arrives.
func (s *Server) beginToCatchUp() {
	s.caughtUp.Store(false)
	s.noteServing()
	s.rep.Barrier((*catchingUp)(s))
}

// catchingUp is the Waiter of beginToCatchUp's barrier. Its Done comes on the loop goroutine, or on another when the replica is closed.
type catchingUp Server

// Done implements replica.Waiter.
func (c *catchingUp) Done(_ any, err error) {
	s := (*Server)(c)
	switch {
	case err == nil && s.lacksConfig():
		s.loop.lacksConfig = true
	case err == nil:
		s.loop.hasConfig = len(s.cfg.Members) > 1
		s.hasCaughtUp()
	case !errors.Is(err, replica.ErrClosed):
		s.rep.Barrier(c)
	}
}

func (s *Server) hasCaughtUp() {
	s.caughtUp.Store(true)
	s.noteServing()
}

// lacksConfig says whether nobody has written /zookeeper/config yet. In a new ensemble that is so for a moment, in which clients would read an empty
// one, while ZooKeeper's always have it. The leader writes it in any case after configWaitMs.
func (s *Server) lacksConfig() bool {
	data, _, _ := s.tree.Get(configPath, superAuth)
	return len(s.cfg.Members) > 1 && len(data) == 0
}

// Serve accepts clients on l, which becomes the server's, until Close. It may be called for several listeners. The error
// is never nil; after Close it is ErrServerClosed.
func (s *Server) Serve(l net.Listener) error { return s.serve(l, nil) }

func (s *Server) serve(l net.Listener, g *guard) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(ErrServerClosed, l.Close())
	}
	s.listeners[l] = struct{}{}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.serveConn(nc, g)
		case s.isClosed() || s.draining.Load():
			return ErrServerClosed
		case isTemporary(err): // out of descriptors, most likely
			s.noisy.warn("accepting a client failed; raise the limit of open files if there are too few", "error", err)
			if !s.pause(acceptRetry) {
				return ErrServerClosed
			}
		default:
			s.mu.Lock()
			delete(s.listeners, l) // whoever has closed it may go on with another
			s.mu.Unlock()
			return fmt.Errorf("server: accept: %w", err)
		}
	}
}

// acceptRetry is how long Serve waits when the system has no room for another connection.
const acceptRetry = 50 * time.Millisecond

func isTemporary(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ServeConn serves one connection on a goroutine of its own.
func (s *Server) ServeConn(nc net.Conn) { s.serveConn(nc, nil) }

func (s *Server) serveConn(nc net.Conn, g *guard) {
	c := s.newConn(nc, g)
	if why := s.addConn(c); why != "" {
		s.stats.rejected.Add(1)
		s.noisy.warn("turned a client away: "+why, "client", c)
		if err := nc.Close(); err != nil {
			s.log.Debug("closing a connection", "error", err)
		}
		return
	}
	s.stats.accepted.Add(1)
	s.spawn(c.serve)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Drain stops accepting, reads no further request and waits until everything that was read is answered, or ctx ends. Close comes next,
// and between the two the replica's: a reader may wait in Propose for a quorum that is not there.
func (s *Server) Drain(ctx context.Context) error {
	s.stopAccepting()
	s.draining.Store(true)
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		busy := s.busy()
		if busy == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("server: %d connections still waited for answers: %w", busy, ctx.Err())
		}
	}
}

// drainPoll is how often Drain looks whether everything is answered.
const drainPoll = 5 * time.Millisecond

// busy is how many connections have something unanswered or unsent.
func (s *Server) busy() (n int) {
	for _, c := range s.conns() {
		c.mu.Lock()
		if !c.dead && c.state == stateOpen && (c.queue.len > 0 || !c.idleLocked()) {
			n++
		}
		c.mu.Unlock()
	}
	return n
}

// Close ends every connection and returns when all goroutines of the server have ended. The replica should be closed before, so that
// none waits in it. It is idempotent.
func (s *Server) Close() error {
	s.stopAccepting()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	s.mu.Unlock()
	s.killAll(reasonQuiet)
	s.closeAll()
	s.wg.Wait()
	return nil
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Debug("closing a listener", "error", err)
		}
	}
	clear(s.listeners)
}
