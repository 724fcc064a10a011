package node

import (
	"errors"
	"io"

	"gopherwood/internal/peer"
)

// Command is one replicated command as the state machine gets it.
type Command struct {
	Index  uint64 // of the log entry that carried it; several commands share one
	Term   uint64 // of that entry
	TimeMs int64  // the leader's stamp, milliseconds since the Unix epoch; never decreases along the log
	Origin uint64 // the origin stream: server id << 48 | start of its process
	Data   []byte // as proposed; valid during Apply only
}

// StateMachine is what is replicated. Apply, View and Restore are never called at the same time; which goroutine calls them is
// the driver's matter. It must be deterministic: state and results depend on the commands alone.
type StateMachine interface {
	// Apply applies one command. The result is handed, on the server that proposed it, to its Waiter before the next Apply.
	Apply(c Command) (result any)
	// View is the state as of now. It must be cheap: no Apply runs meanwhile.
	View() (View, error)
	// Restore replaces the state by one that a View wrote. Readers of the state must be locked out by the state machine.
	Restore(r io.Reader) error
}

// View is a point-in-time picture of a state machine.
type View interface {
	// WriteTo writes the picture; it runs on another goroutine while Apply goes on.
	WriteTo(w io.Writer) (int64, error)
	// Close releases the picture. It is called where Apply is called, once, after WriteTo has returned.
	Close()
}

// Batcher is implemented by a state machine that wants to know of runs of calls: Apply and Waiter.Done happen only between
// BeginBatch and EndBatch.
type Batcher interface {
	BeginBatch()
	EndBatch()
}

// Leadership says who leads.
type Leadership struct {
	Leader uint64 // raft id, 0 while there is none
	Term   uint64
	// Mine is true once this replica leads and has applied an entry of its own term, so that its state holds
	// everything that was acknowledged before.
	Mine bool
}

// LeaderObserver is implemented by a state machine that wants to know who leads.
type LeaderObserver interface {
	LeaderChanged(l Leadership)
}

// Ticker is implemented by a state machine that has something to do in time, as the expiry of sessions on the leader.
type Ticker interface {
	Tick(nowMs int64)
}

// MessageHandler is implemented by a state machine that takes datagrams from the other members.
type MessageHandler interface {
	// Message hands over a datagram from a raft id; data is the handler's.
	Message(from uint64, data []byte)
}

// MembersObserver is implemented by a state machine that wants to know who the members are: at the start, after each change, and after a snapshot. The
// slice is not to be changed or kept. joint is true while one set of voters takes over from another.
type MembersObserver interface {
	MembersChanged(members []peer.Member, joint bool)
}

// Digester is implemented by a state machine that can say in one number what its state is.
type Digester interface {
	Digest() uint64
}

// Waiter is told the outcome of one command or barrier, exactly once, in order, inside a batch (Batcher). It must not block. It is a name for the
// interface itself, so that package replica's Waiter becomes one without a conversion per command.
type Waiter = interface {
	Done(result any, err error)
}

var (
	// ErrOutcomeUnknown is a command's outcome when the state came in a snapshot: the command was applied, its result is not known here.
	ErrOutcomeUnknown = errors.New("outcome unknown: the command was applied before a snapshot that this replica received")
	// ErrClosed is the outcome of what was under way when the replica stopped: it may or may not be applied.
	ErrClosed = errors.New("replica is closed: outcome unknown")
	// ErrBusy says that a bound is reached and nothing was taken.
	ErrBusy = errors.New("replica is busy: too much is waiting to be applied")
)
