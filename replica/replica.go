package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gopherwood/internal/certs"
	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
)

// Replica is one member at work. Its methods may be called from any goroutine unless they say otherwise.
type Replica struct {
	// Constant after Start.
	cfg      Config
	log      *slog.Logger
	sm       StateMachine
	machine  node.StateMachine // sm as the node knows it
	certs    *certs.Source     // that the replica opened; nil: none
	lock     io.Closer
	ctx      context.Context // ends when the replica stops
	cancel   context.CancelCauseFunc
	tasks    sync.WaitGroup // every goroutine
	stopped  chan struct{}  // closed when all is quiet
	stopOnce sync.Once

	proposals proposals
	inbox     inbox
	writer    logWriter
	info      atomic.Pointer[peer.Probe] // what this member answers to a probe
	status    atomic.Pointer[Status]     // before there is a node
	origin    atomic.Uint64              // identity.Origin, for everybody
	progress  progress
	terms     terms

	// Set by form before the loop starts, then constant.
	identity  identity
	transport *peer.Transport // nil when alone

	// Owned by the loop goroutine.
	node      *node.Node
	raftlog   *raftlog.Log
	tick      uint64
	up        map[uint64]bool // raft ids whose messages arrive; told to the node when there is one
	early     []Waiter        // barriers from before there was a node
	book      book
	listening string // port for members
	timing    timing
	broken    bool // the state machine has panicked
	shaped    bool // somebody has called Reconfigure; see reform
	// leaderTick is the last tick at which a leader was known, as far as askToJoin has looked.
	leaderTick uint64
}

// Start opens the data directory and starts the member. It returns before there is a leader, and before the ensemble is formed; commands
// wait meanwhile. sm must be empty: what the directory holds is restored into it.
func Start(cfg Config, sm StateMachine) (*Replica, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if sm == nil {
		return nil, errors.New("replica: a state machine is required")
	}
	r := &Replica{cfg: cfg, log: cfg.Logger, sm: sm, stopped: make(chan struct{}), up: make(map[uint64]bool)}
	r.machine = r.adapt(sm)
	r.terms.ch = make(chan *Term, 1)
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.proposals.room.L = &r.proposals.mu
	r.inbox.init()
	r.writer.init()
	if cfg.Observer != nil {
		r.timing.entries = make([]entryTimes, keptEntries)
		r.proposals.observed = true
	}
	if err := r.open(); err != nil {
		r.cancel(err)
		return nil, errors.Join(err, r.abandon())
	}
	r.tasks.Add(1)
	go r.run()
	return r, nil
}

// abandon gives back what open had taken before it failed.
func (r *Replica) abandon() (err error) {
	if r.certs != nil {
		r.certs.Close()
	}
	if r.raftlog != nil {
		err = r.raftlog.Close()
	}
	if r.cfg.Listener != nil {
		err = errors.Join(err, ignoreClosed(r.cfg.Listener.Close()))
	}
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// open takes the directory, finds out who this server is, and lets its peers find it.
func (r *Replica) open() error {
	if err := r.cfg.fs.MkdirAll(r.cfg.Dir); err != nil {
		return fmt.Errorf("replica: data directory: %w", err)
	}
	lock, err := r.cfg.fs.Lock(filepath.Join(r.cfg.Dir, lockName), fmt.Sprintf("server %d, process %d", r.cfg.ServerID, os.Getpid()))
	if err != nil {
		return fmt.Errorf("replica: data directory %s is in use: %w", r.cfg.Dir, err)
	}
	r.lock = lock
	if err := r.identify(); err != nil {
		return err
	}
	if r.identity.formed() {
		if err := r.reopenLog(); err != nil {
			return err
		}
	}
	if r.cfg.alone() {
		if r.cfg.Listener != nil {
			return ignoreClosed(r.cfg.Listener.Close()) // nobody is expected
		}
		return nil
	}
	r.info.Store(&peer.Probe{ClusterID: r.identity.ClusterID, RaftID: r.identity.RaftID, Members: r.introduction()})
	var protect *peer.TLS
	if protect, r.certs, err = r.cfg.TLS.open(r.log); err != nil {
		return err
	}
	r.transport, err = peer.New(peer.Config{
		ServerID: r.cfg.ServerID, RaftID: r.identity.RaftID, ClusterID: r.identity.ClusterID,
		Handler: (*peerHandler)(r), Listen: r.cfg.Listen, Listener: r.cfg.Listener, Logger: r.log,
		TLS: protect,
	})
	if err != nil {
		return fmt.Errorf("replica: listen for members: %w", err)
	}
	r.listening = portOf(r.cfg.Listen)
	r.transport.SetPeers(r.cfg.Peers)
	return nil
}

// run is the loop goroutine: find the ensemble, then step the node until told to stop.
func (r *Replica) run() {
	defer r.tasks.Done()
	if err := r.work(); err != nil && r.ctx.Err() == nil {
		r.fatal(err)
	}
	if e := (*MachineError)(nil); errors.As(context.Cause(r.ctx), &e) && e.Panic != nil {
		r.broken = true // perhaps in Restore, on another goroutine
	}
	if r.broken { // it may hold its own locks: whoever waits is told without it
		r.unhook()
	}
	if r.node != nil {
		r.node.Stop()
	}
	r.shut()
}

// work is run without its end. It also ends when the state machine panics.
func (r *Replica) work() error {
	defer r.panicked()
	if err := r.form(); err != nil {
		return err
	}
	if err := r.start(); err != nil {
		return err
	}
	r.loop()
	return nil
}

// start makes the node out of the log.
func (r *Replica) start() error {
	state, err := r.load()
	if err != nil {
		return err
	}
	for {
		r.node, err = node.New(node.Config{
			RaftID: r.identity.RaftID, Origin: r.identity.Origin, SnapshotBytes: r.cfg.SnapshotBytes, Logger: r.log,
		}, r.raftlog, state, r.machine, (*host)(r))
		var older *node.OriginError
		if !errors.As(err, &older) {
			break
		}
		r.identity.Origin = older.Known + 1
		r.origin.Store(r.identity.Origin)
		if err := r.identity.write(r.cfg.fs, r.cfg.Dir); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.up)) {
		r.node.PeerUp(id)
	}
	for _, w := range r.early {
		r.barrier(w)
	}
	r.early = nil
	r.node.TellMembers()
	r.replay()
	r.tasks.Add(3)
	go r.writeLog()
	go r.prepareLog()
	go r.watchDisk()
	return nil
}

// replay notes what there is to be applied before this member has what its log held.
func (r *Replica) replay() {
	index, _ := r.node.Applied()
	last, err := r.raftlog.LastIndex()
	if err != nil {
		last = index
	}
	r.progress.begin(Replaying, int64(index), int64(last))
	r.progress.applied(r)
}

// load restores the newest snapshot, if the log has one.
func (r *Replica) load() (*node.State, error) {
	snap, err := r.raftlog.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	index := snap.GetMetadata().GetIndex()
	if index <= node.BootstrapIndex {
		return nil, nil
	}
	state, _, err := r.loadSnapshot(index)
	return state, err
}

// loop steps the node. Everything that happened since the last round is taken at once: batches form by themselves.
func (r *Replica) loop() {
	ticker := time.NewTicker(r.cfg.Tick)
	defer ticker.Stop()
	var work batchOfEvents
	var chunks []*node.Chunk
	for r.ctx.Err() == nil {
		ticked := false
		select {
		case <-r.inbox.wake:
		case <-ticker.C:
			ticked = true
		case <-r.ctx.Done():
			return
		}
		runtime.Gosched() // whoever woke the loop made it run next; let those who are ready too put their commands into the same batch
		r.timing.now = time.Now()
		r.node.Now(r.timing.now.UnixMilli())
		if ticked {
			r.node.Tick()
			r.everyTick()
		}
		r.inbox.take(&work)
		for _, m := range work.messages {
			r.node.Deliver(m)
		}
		for _, rec := range work.persisted {
			if r.cfg.Observer != nil {
				r.timing.persisted(rec)
			}
			r.node.Persisted(rec)
		}
		for _, f := range work.calls {
			f.run()
		}
		chunks = r.takeChunks(chunks[:0])
		for _, c := range chunks {
			r.node.Submit(c)
		}
		r.node.Flush()
		r.writer.kick()
	}
}

// takeChunks takes what Propose has collected.
func (r *Replica) takeChunks(chunks []*node.Chunk) []*node.Chunk {
	p := &r.proposals
	p.mu.Lock()
	first := p.first
	chunks = append(chunks, p.full...)
	clear(p.full)
	p.full = p.full[:0]
	if p.open != nil {
		chunks = append(chunks, p.open)
		p.open = nil
	}
	p.mu.Unlock()
	if r.cfg.Observer != nil && len(chunks) > 0 {
		r.observeTaken(chunks, first)
	}
	return chunks
}

// observeTaken notes that chunks were taken, the first of whose commands was proposed at first.
func (r *Replica) observeTaken(chunks []*node.Chunk, first time.Time) {
	count := 0
	for _, c := range chunks {
		if len(c.Waiters) > 0 { // as Submit
			count += len(c.Waiters)
			r.timing.submitted()
		}
	}
	r.cfg.Observer.Taken(count, r.timing.now.Sub(first))
}

// everyTick does what is due now and then.
func (r *Replica) everyTick() {
	r.tick++
	if known := r.node.LaterOrigin(); known != 0 {
		r.startLater(known)
	}
	if r.transport == nil {
		return
	}
	if r.identity.Restored && r.tick%uint64(joinEvery/r.cfg.Tick+1) == 0 {
		r.reform()
	}
	l := r.node.Leadership()
	applied, term := r.node.Applied()
	r.info.Store(&peer.Probe{
		Established: applied > node.BootstrapIndex, ClusterID: r.identity.ClusterID, RaftID: r.identity.RaftID,
		Leader: l.Leader, Term: term, Commit: applied, Members: membersOf(r.identity.Bootstrap),
	})
	if r.tick%uint64(joinEvery/r.cfg.Tick+1) == 0 {
		r.askToJoin()
		r.followPort()
	}
}

// startLater stops a server of whose earlier incarnation a later start is on record: its clock was ahead. The next start goes on from there.
func (r *Replica) startLater(known uint64) {
	r.identity.Origin = known
	err := r.identity.write(r.cfg.fs, r.cfg.Dir)
	r.fatal(errors.Join(fmt.Errorf("replica: start this server again: before it lost its disk its clock was ahead, and only now is it known by how much: %w",
		&node.OriginError{Known: known}), err))
}

// fatal stops the replica because it can't go on.
func (r *Replica) fatal(err error) {
	r.log.Error("this member stops: it can't go on safely", "server", r.cfg.ServerID, "error", err)
	r.cancel(err)
	r.wakeLoop()
}

// shut ends what the loop goroutine started, when it is over.
func (r *Replica) shut() {
	p := &r.proposals
	p.mu.Lock()
	p.closed = true
	p.room.Broadcast()
	var left []node.Waiter
	for _, c := range append(p.full, p.open) {
		if c != nil {
			left = append(left, c.Waiters...)
		}
	}
	p.full, p.open = nil, nil
	p.mu.Unlock()
	r.terms.close(context.Cause(r.ctx))
	for _, w := range left {
		if w != nil {
			w.Done(nil, ErrClosed)
		}
	}
	for _, w := range r.early {
		w.Done(nil, ErrClosed)
	}
	r.inbox.close()
	r.writer.close()
}

// Done is closed when the replica has stopped, by Close or because it can't go on; Err says which.
func (r *Replica) Done() <-chan struct{} { return r.ctx.Done() }

// Err is why the replica stopped: nil while it runs, ErrClosed after Close.
func (r *Replica) Err() error { return context.Cause(r.ctx) }

// Close stops the replica at once and returns when all is quiet. Commands under way end with ErrClosed. It is idempotent.
func (r *Replica) Close() error {
	r.cancel(ErrClosed)
	r.stopOnce.Do(func() {
		defer close(r.stopped)
		if r.transport != nil {
			r.inbox.close() // so that no delivery waits
			if err := r.transport.Close(); err != nil {
				r.log.Warn("closing the members' connections", "error", err)
			}
		}
		r.tasks.Wait()
		if r.certs != nil {
			r.certs.Close()
		}
		if r.raftlog != nil {
			if err := r.raftlog.Close(); err != nil {
				r.log.Warn("closing the log", "error", err)
			}
		}
		if err := r.lock.Close(); err != nil {
			r.log.Warn("releasing the data directory", "error", err)
		}
	})
	<-r.stopped
	return nil
}

// Shutdown hands leadership over, if this member leads and another can, and then closes. ctx bounds the handing over.
func (r *Replica) Shutdown(ctx context.Context) error {
	if !r.cfg.alone() {
		if err := r.TransferLeadership(ctx); err != nil && !errors.Is(err, ErrNotLeader) {
			r.log.Warn("leadership was not handed over; the others will elect a leader", "error", err)
		}
	}
	return r.Close()
}

// TransferLeadership hands leadership to the member whose log is furthest and waits until another leads. It tries again, perhaps with another
// member, until ctx ends. A member that does not lead returns a *NotLeaderError.
func (r *Replica) TransferLeadership(ctx context.Context) error {
	return r.TransferLeadershipTo(ctx, 0)
}

// TransferLeadershipTo is TransferLeadership to a server, which has to be a voter, or to any if it is 0.
func (r *Replica) TransferLeadershipTo(ctx context.Context, server uint16) error {
	poll := time.NewTicker(r.cfg.Tick)
	defer poll.Stop()
	for round := 0; ; round++ {
		h, err := ask(ctx, r, func() handOver { return r.handOver(server, round%transferTicks == 0) })
		switch {
		case err != nil:
			return err
		case h.stuck && server != 0:
			return fmt.Errorf("replica: server %d is no other voter that is connected and up to date", server)
		case h.stuck:
			return errors.New("replica: no other voter is connected and up to date")
		case !h.mine && round == 0:
			return h.refused
		case !h.mine && h.known:
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handOver is how far the handing over of leadership is.
type handOver struct {
	mine, known bool // who leads
	stuck       bool // nobody can take over
	refused     error
}

// handOver begins to hand leadership over, to any server if it is 0, if begin is set and this member leads.
func (r *Replica) handOver(server uint16, begin bool) handOver {
	if r.node == nil {
		return handOver{refused: r.notLeader()}
	}
	leader := r.node.Leadership().Leader
	h := handOver{mine: leader == r.identity.RaftID, known: leader != 0}
	if !h.mine {
		h.refused = r.notLeader()
	}
	to := r.node.Transfer
	if server != 0 {
		to = func() bool { return r.node.TransferTo(server) }
	}
	h.stuck = h.mine && begin && !to() || !h.known && !r.node.QuorumConnected()
	return h
}

// Snapshot makes a snapshot of the present state, or of a later one, and waits until it is written.
func (r *Replica) Snapshot(ctx context.Context) error {
	poll := time.NewTicker(r.cfg.Tick)
	defer poll.Stop()
	s := snapshotRequest{}
	for {
		var err error
		if s, err = ask(ctx, r, func() snapshotRequest { return r.advance(s) }); err != nil {
			return err
		}
		if s.done || s.err != nil {
			return s.err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// snapshotRequest is how far a call of Snapshot is.
type snapshotRequest struct {
	index   uint64 // that the snapshot has to reach; 0 at first
	started bool
	done    bool
	err     error
}

// errNotFormed says that there is no ensemble yet.
var errNotFormed = errors.New("replica: the ensemble is not formed yet")

// advance starts a snapshot when none is being written, for one that was under way already is too old.
func (r *Replica) advance(s snapshotRequest) snapshotRequest {
	if r.node == nil {
		s.err = errNotFormed
		return s
	}
	if s.index == 0 {
		s.index, _ = r.node.Applied()
	}
	newest, writing, err := r.node.SnapshotStatus()
	switch {
	case newest >= s.index:
		s.done = true
	case writing:
	case s.started && err != nil:
		s.err = err
	default:
		s.started = true
		s.err = r.node.TakeSnapshot()
	}
	return s
}

// Origin is the id of this server's origin stream: what Command.Origin says of its own commands. It is known for good once this server has
// applied anything.
func (r *Replica) Origin() uint64 { return r.origin.Load() }
