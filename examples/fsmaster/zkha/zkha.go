// Package zkha makes fsmaster's core available in the classic way: masters elect one of them in ZooKeeper, the active one writes every operation to
// a journal that all of them see, and the standbys tail it.
//
//	   ZooKeeper ◀── election, session ──┐
//	clients ──▶ active master ── append, sync ──▶ journal (shared directory)
//	            standby masters ◀───── tail ─────────┘
//
// What has to be there besides the masters: a ZooKeeper ensemble and a file system that all masters share and that survives each of them. With Config.Fencing the
// journal keeps a deposed master out; without it, it does not (package journal).
package zkha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/journal"
	"gopherwood/zk"
)

// Config says how a master takes part. All but Logger are required.
type Config struct {
	Servers string        // of ZooKeeper
	Dir     string        // of the journal
	Addr    string        // where this master serves, for others to be told
	Session time.Duration // timeout of the session: how long a dead master is waited for
	Fencing bool
	Logger  *slog.Logger
}

const (
	// tailEvery is how often a standby looks for new records.
	tailEvery = 20 * time.Millisecond
	// maxBatch bounds the operations that are written together, maxWaiting those that wait for it.
	maxBatch   = 1024
	maxWaiting = 4096
	// checkpointEvery is how many records lead to a checkpoint.
	checkpointEvery = 250_000
)

// NotActiveError says that another master is the active one.
type NotActiveError struct{ Leader string } // where it serves; empty if nobody knows

// Error says that another master has to be asked.
func (e *NotActiveError) Error() string { return "this master is a standby" }

// ErrOutcomeUnknown says that the master lost its office while it wrote: the operation may be in the journal.
var ErrOutcomeUnknown = errors.New("zkha: this master was deposed while it wrote; the operation may or may not be carried out")

// Master is one of the masters.
type Master struct {
	cfg   Config
	log   *slog.Logger
	queue chan *request
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.RWMutex
	fs     *core.FS
	seq    uint64 // of the last record in fs
	active bool
	epoch  uint64 // while active
	leader string // where it serves

	// Owned by run.
	reader  *journal.Reader
	saved   uint64 // seq of the last checkpoint
	saving  sync.WaitGroup
	ignored int
}

// request is an operation under way.
type request struct {
	op     core.Op
	result *core.Result
	err    error
	done   chan struct{}
}

// Start starts a master. It returns at once.
func Start(cfg Config) *Master {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Master{cfg: cfg, log: cfg.Logger, queue: make(chan *request, maxWaiting), stop: cancel, done: make(chan struct{}), fs: core.New()}
	if m.log == nil {
		m.log = slog.Default()
	}
	go m.run(ctx)
	return m
}

// Close ends the candidacy and returns when all is quiet.
func (m *Master) Close() {
	m.stop()
	<-m.done
	m.saving.Wait()
}

// run is a candidate's life: follow the journal, lead when elected, begin anew when the session is over.
func (m *Master) run(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		if err := m.candidacy(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("this master begins anew", "error", err)
			select {
			case <-time.After(tailEvery):
			case <-ctx.Done():
			}
		}
	}
}

// candidacy lasts as long as a session.
func (m *Master) candidacy(ctx context.Context) error {
	if err := m.load(); err != nil {
		return err
	}
	defer m.reader.Close()
	s, err := m.joinWhileFollowing(ctx)
	if err != nil {
		return err
	}
	defer s.zk.Close()
	elected := make(chan error, 1)
	go func() { elected <- s.await(ctx) }()
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-elected:
			if err != nil {
				return err
			}
			return m.lead(ctx, s)
		case <-tick.C:
			if err := m.follow(0); err != nil {
				return err
			}
			m.noteLeader(ctx, s)
		case <-ctx.Done():
			<-elected
			return ctx.Err()
		}
	}
}

func (m *Master) joinWhileFollowing(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Session)
	defer cancel()
	return join(ctx, m.cfg.Servers, m.cfg.Session, m.cfg.Addr)
}

// noteLeader remembers where the leader serves, for clients that ask here.
func (m *Master) noteLeader(ctx context.Context, s *session) {
	m.mu.RLock()
	known := m.leader != ""
	m.mu.RUnlock()
	if known {
		return
	}
	if addr, err := s.leader(ctx); err == nil {
		m.mu.Lock()
		m.leader = addr
		m.mu.Unlock()
	}
}

// load begins with the checkpoint.
func (m *Master) load() error {
	fs, seq, r, err := journal.Load(m.cfg.Dir, m.cfg.Fencing)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fs, m.seq, m.leader = fs, seq, ""
	m.reader, m.saved = r, seq
	return nil
}

// follow applies what is new in the journal, up to the record that begins epoch if it is not 0.
func (m *Master) follow(epoch uint64) error {
	for more := true; more; {
		m.mu.Lock()
		for range maxBatch { // then readers get a turn
			rec, err := m.reader.Next()
			if err == io.EOF && epoch == 0 {
				more = false
				break
			}
			if err != nil {
				m.mu.Unlock()
				return fmt.Errorf("zkha: after record %d: %w", m.seq, err)
			}
			if rec.Op.Kind == journal.Begin {
				m.leader = ""
				if more = epoch == 0 || rec.Epoch < epoch; !more {
					break
				}
				continue
			}
			m.fs.Apply(&rec.Op, core.Env{TimeMs: rec.TimeMs, Term: rec.Epoch})
			m.seq = rec.Seq
		}
		m.mu.Unlock()
	}
	if m.reader.Ignored > m.ignored {
		m.log.Warn("records of a deposed master are ignored", "records", m.reader.Ignored-m.ignored)
		m.ignored = m.reader.Ignored
	}
	m.maybeSave()
	return nil
}

// maybeSave writes a checkpoint now and then, beside everything else. It runs where the reader is: on standbys, and at a take-over.
func (m *Master) maybeSave() {
	if m.seq-m.saved < checkpointEvery {
		return
	}
	m.mu.Lock()
	v, at, seq, epoch := m.fs.View(), m.reader.Offset(), m.seq, m.reader.Epoch()
	m.mu.Unlock()
	m.saved = seq
	m.saving.Wait()
	m.saving.Go(func() {
		if err := journal.WriteCheckpoint(m.cfg.Dir, v, at, seq, epoch); err != nil {
			m.log.Error("no checkpoint", "error", err)
		}
	})
}

// lead is a term of office: take over, then write what clients ask for until the session is over.
func (m *Master) lead(ctx context.Context, s *session) error {
	w, err := journal.OpenWriter(m.cfg.Dir, s.epoch, m.cfg.Fencing)
	if err != nil {
		return err
	}
	defer w.Close()
	begin := uint64(0)
	if m.cfg.Fencing {
		begin = s.epoch
	}
	if err := m.follow(begin); err != nil {
		return err
	}
	m.setActive(true, s.epoch)
	defer m.setActive(false, 0)
	m.log.Info("this master is the active one", "epoch", s.epoch, "records", m.seq)
	states, stopStates := s.zk.States()
	defer stopStates()
	for {
		select {
		case r := <-m.queue:
			if err := m.write(w, s.epoch, r); err != nil {
				return err
			}
		case c, ok := <-states: // who does not hear from ZooKeeper must take itself for deposed
			if !ok || c.State != zk.StateSyncConnected {
				return fmt.Errorf("zkha: the connection to ZooKeeper is lost (%v)", c.State)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Master) setActive(active bool, epoch uint64) {
	m.mu.Lock()
	m.active, m.epoch = active, epoch
	m.mu.Unlock()
	if active {
		return
	}
	for { // those that came before
		select {
		case r := <-m.queue:
			r.finish(&NotActiveError{})
		default:
			return
		}
	}
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// write carries out first and what else waits: applied, written and synced together, then answered.
func (m *Master) write(w *journal.Writer, epoch uint64, first *request) error {
	batch := append(make([]*request, 0, 64), first)
	for len(batch) < maxBatch {
		select {
		case r := <-m.queue:
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	now := time.Now().UnixMilli()
	records := make([]core.Record, 0, len(batch))
	m.mu.Lock()
	for _, r := range batch {
		r.result = m.fs.Apply(&r.op, core.Env{TimeMs: now, Term: epoch})
		m.seq++
		records = append(records, core.Record{Seq: m.seq, TimeMs: now, Epoch: epoch, Op: r.op})
	}
	m.mu.Unlock()
	err := w.Append(records)
	for _, r := range batch {
		if err != nil {
			r.finish(ErrOutcomeUnknown)
			continue
		}
		r.finish(nil)
	}
	return err
}

// Do carries out an operation if this master is the active one.
func (m *Master) Do(ctx context.Context, op core.Op) (*core.Result, error) {
	m.mu.RLock()
	active, leader := m.active, m.leader
	m.mu.RUnlock()
	if !active {
		return nil, &NotActiveError{leader}
	}
	r := &request{op: op, done: make(chan struct{})}
	select {
	case m.queue <- r:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
	}
}

// Read reads the state of the active master. It is what that one believes: a deposed master that does not know it yet shows an old state.
func (m *Master) Read(_ context.Context, read func(*core.FS)) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.active {
		return &NotActiveError{m.leader}
	}
	read(m.fs)
	return nil
}

// Peek reads the state as far as this master has it, a standby, too.
func (m *Master) Peek(read func(*core.FS)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	read(m.fs)
}

// Term is the number of the present term of office, if it is this master's.
func (m *Master) Term() (uint64, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.epoch, m.active
}
