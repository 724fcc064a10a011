package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

	// Set by form before the loop starts, then constant.
	identity  identity
	transport *peer.Transport // nil when alone

	// Owned by the loop goroutine.
	node    *node.Node
	raftlog *raftlog.Log
	tick    uint64
	up      map[uint64]bool // raft ids whose messages arrive; told to the node when there is one
}

// Status is a replica's account of itself.
type Status struct {
	node.Status
	// Forming is not empty while the server has not found its ensemble yet, and says what it waits for.
	Forming string
}

// Start opens the data directory and starts the member. It returns before there is a leader, and before the ensemble is formed; commands
// wait meanwhile. sm must be empty: what the directory holds is restored into it.
func Start(cfg Config, sm StateMachine) (*Replica, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Replica{cfg: cfg, log: cfg.Logger, sm: sm, stopped: make(chan struct{}), up: make(map[uint64]bool)}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.proposals.room.L = &r.proposals.mu
	r.inbox.init()
	r.writer.init()
	if err := r.open(); err != nil {
		r.cancel(err)
		if r.lock != nil {
			err = errors.Join(err, r.lock.Close())
		}
		return nil, err
	}
	r.tasks.Add(1)
	go r.run()
	return r, nil
}

// open takes the directory, finds out who this server is, and lets its peers find it.
func (r *Replica) open() error {
	if err := r.cfg.FS.MkdirAll(r.cfg.Dir); err != nil {
		return fmt.Errorf("replica: data directory: %w", err)
	}
	lock, err := r.cfg.FS.Lock(filepath.Join(r.cfg.Dir, "LOCK"), fmt.Sprintf("server %d, process %d", r.cfg.ServerID, os.Getpid()))
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
		return nil
	}
	r.info.Store(&peer.Probe{ClusterID: r.identity.ClusterID, RaftID: r.identity.RaftID, Members: membersOf(r.identity.Bootstrap)})
	r.transport, err = peer.New(peer.Config{
		ServerID: r.cfg.ServerID, RaftID: r.identity.RaftID, ClusterID: r.identity.ClusterID,
		Handler: (*peerHandler)(r), Listen: r.cfg.Listen, Listener: r.cfg.Listener, Logger: r.log,
	})
	if err != nil {
		return fmt.Errorf("replica: listen for members: %w", err)
	}
	r.transport.SetPeers(r.cfg.Peers)
	return nil
}

// run is the loop goroutine: find the ensemble, then step the node until told to stop.
func (r *Replica) run() {
	defer r.tasks.Done()
	err := r.form()
	if err == nil {
		err = r.start()
	}
	if err == nil {
		r.loop()
		r.node.Stop()
	} else if r.ctx.Err() == nil {
		r.fatal(err)
	}
	r.shut()
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
		}, r.raftlog, state, r.sm, (*host)(r))
		var older *node.OriginError
		if !errors.As(err, &older) {
			break
		}
		r.identity.Origin = older.Known + 1
		if err := r.identity.write(r.cfg.FS, r.cfg.Dir); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.up)) {
		r.node.PeerUp(id)
	}
	r.tasks.Add(3)
	go r.writeLog()
	go r.prepareLog()
	go r.watchDisk()
	return nil
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
		r.node.Now(time.Now().UnixMilli())
		if ticked {
			r.node.Tick()
			r.everyTick()
		}
		r.inbox.take(&work)
		for _, m := range work.messages {
			r.node.Deliver(m)
		}
		for _, rec := range work.persisted {
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
	defer p.mu.Unlock()
	chunks = append(chunks, p.full...)
	clear(p.full)
	p.full = p.full[:0]
	if p.open != nil {
		chunks = append(chunks, p.open)
		p.open = nil
	}
	return chunks
}

// everyTick does what is due now and then.
func (r *Replica) everyTick() {
	r.tick++
	if r.transport == nil {
		return
	}
	l := r.node.Leadership()
	applied, term := r.node.Applied()
	r.info.Store(&peer.Probe{
		Established: applied > node.BootstrapIndex, ClusterID: r.identity.ClusterID, RaftID: r.identity.RaftID,
		Leader: l.Leader, Term: term, Commit: applied, Members: membersOf(r.identity.Bootstrap),
	})
	if r.tick%uint64(joinEvery/r.cfg.Tick+1) == 0 {
		r.askToJoin()
	}
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
	var left []Waiter
	for _, c := range append(p.full, p.open) {
		if c != nil {
			left = append(left, c.Waiters...)
		}
	}
	p.full, p.open = nil, nil
	p.mu.Unlock()
	for _, w := range left {
		if w != nil {
			w.Done(nil, ErrClosed)
		}
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

// TransferLeadership hands leadership to the member whose log is furthest and waits until it leads.
func (r *Replica) TransferLeadership(ctx context.Context) error {
	moved, leading := false, false
	err := r.ask(ctx, func() {
		if r.node != nil {
			leading = r.node.Leadership().Leader == r.identity.RaftID
			moved = r.node.Transfer()
		}
	})
	switch {
	case err != nil:
		return err
	case !leading:
		return ErrNotLeader
	case !moved:
		return errors.New("replica: no other voter is connected and up to date")
	}
	poll := time.NewTicker(r.cfg.Tick)
	defer poll.Stop()
	for leading {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.ask(ctx, func() { l := r.node.Leadership(); leading = l.Leader == r.identity.RaftID || l.Leader == 0 }); err != nil {
			return err
		}
	}
	return nil
}

// Snapshot makes a snapshot of the present state and waits until it is written.
func (r *Replica) Snapshot(ctx context.Context) error {
	poll := time.NewTicker(r.cfg.Tick)
	defer poll.Stop()
	var failed error
	busy := true
	first := true
	for busy {
		err := r.ask(ctx, func() {
			if r.node == nil {
				failed = errors.New("replica: the ensemble is not formed yet")
			} else if first {
				failed = r.node.TakeSnapshot()
				r.node.Flush()
			}
			busy = failed == nil && r.node.Snapshotting()
		})
		if err != nil || failed != nil {
			return errors.Join(err, failed)
		}
		first = false
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Origin is the id of this server's origin stream: what Command.Origin says of its own commands.
func (r *Replica) Origin() uint64 { return r.identity.Origin }

// Status is this member's account of itself and, on the leader, of the others.
func (r *Replica) Status() Status {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var s Status
	err := r.ask(ctx, func() {
		if r.node != nil {
			s.Status = r.node.Status()
		}
	})
	if err != nil || s.RaftID == 0 {
		if f := r.status.Load(); f != nil {
			return *f
		}
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.PeerAddr == "" {
			m.PeerAddr = r.cfg.Peers[m.ServerID]
		}
	}
	return s
}
