package replica

import (
	"io"
)

// Command is one replicated command, as Apply gets it.
type Command struct {
	// Index of the log entry that carried it. Several commands share one: an entry is a batch.
	Index uint64
	// Term of that entry. A command that was decided by a leader and is to be obeyed only while that one led carries the number
	// of its term (Term.Number) in its data, and Apply compares the two: the words of a deposed leader change nothing.
	Term uint64
	// TimeMs is the time to use in place of a clock: stamped by the leader, milliseconds since the Unix epoch. It never
	// decreases along the log, and is the same on every member.
	TimeMs int64
	// Origin is who proposed it: server id << 48 | the start of its process; Replica.Origin says this server's own.
	Origin uint64
	// Data is what was proposed. It is valid during Apply only; copy what is to be kept.
	Data []byte
}

// StateMachine is what is replicated: yours to write. It is deterministic: its state and its results depend on the commands that it was
// given, in their order, and on nothing else. No clock (use Command.TimeMs), no random numbers, no order of a Go map, no address,
// no setting of one machine, no float that another processor would round in another way. Package replicatest looks for such mistakes.
//
// Apply, View and Restore are never called at the same time. Everything else that reads the state, an HTTP handler for example, runs on
// other goroutines: guard the state by a lock that Apply takes for writing, or take it once per batch (Batcher).
//
// A state machine that panics in one of its methods stops its replica, which says in which method, at which index and why
// (*MachineError): what was committed is in the log, so nothing is lost, and a program with the mistake put right goes on from there. A mistake
// that is put right must be so on every member before it applies the command, or they differ.
type StateMachine interface {
	// Apply applies one command and returns its result, which is given, on the server that proposed it, to the Waiter before the
	// next Apply; Do returns it. A command that can't be carried out is no failure: it changes nothing, on every member alike, and
	// its result says why (an error value, for example). On other servers the result is dropped.
	Apply(c Command) (result any)
	// View is the state as of now, to be written later, while Apply goes on. It has to be cheap, because nothing is applied
	// meanwhile: copy what is small, and copy on write what is large. An error is logged, and is tried again later; meanwhile the log
	// grows.
	View() (View, error)
	// Restore replaces the state, whatever it was, by the one that a View wrote. It locks readers out. It is called before anything
	// is applied after a start, and again when a member that was away gets a snapshot from the leader. An error stops the replica: the state
	// is neither the old one nor the new one.
	Restore(r io.Reader) error
}

// View is a picture of a state machine at one moment.
type View interface {
	// WriteTo writes the picture, the same bytes for the same state. It runs on a goroutine of its own while Apply goes on. An error of w
	// is to be returned.
	WriteTo(w io.Writer) (int64, error)
	// Close releases the picture. It is called where Apply is called, once, after WriteTo has returned.
	Close()
}

// Batcher may be implemented by a state machine. What is committed together is applied in one run: Apply and Waiter.Done are
// called between BeginBatch and EndBatch only. To lock readers out once per run in place of once per command is the usual purpose.
type Batcher interface {
	BeginBatch()
	EndBatch()
}

// LeaderObserver may be implemented by a state machine that wants to know, on the loop goroutine, who leads. Who only wants to do
// something while this server leads reads Replica.Terms.
type LeaderObserver interface {
	LeaderChanged(l Leadership)
}

// Leadership says who leads.
type Leadership struct {
	Leader uint64 // raft id (Member.RaftID), 0 while there is none
	Term   uint64
	// Mine is true once this replica leads and has applied an entry of its own term, so that its state holds everything that was
	// acknowledged before.
	Mine bool
}

// Ticker may be implemented by a state machine that has something to do in time, such as to propose, on the leader, that what is
// overdue be ended. nowMs is this server's clock; the state may only change by a command.
type Ticker interface {
	Tick(nowMs int64)
}

// MessageHandler may be implemented by a state machine that takes datagrams from the other members (Replica.ToLeader, ToMember).
type MessageHandler interface {
	// Message hands over a datagram of the member with that raft id; data is the handler's.
	Message(from uint64, data []byte)
}

// Digester may be implemented by a state machine that can say in one number, cheaply, what its state is: a sum over hashes of its parts, for
// example, brought up to date by each command. Members compare their digests every few seconds. One whose digest is not the leader's says so
// loudly and stops: either it or the leader is wrong, and it must not serve any more.
type Digester interface {
	Digest() uint64
}

// MembersObserver may be implemented by a state machine that wants to know who the members are: it is told at the start, after each change,
// and after a snapshot. The slice is not to be changed or kept. joint is true while one set of voters takes over from another.
type MembersObserver interface {
	MembersChanged(members []Member, joint bool)
}

// Waiter is told the outcome of one command (Propose) or barrier (Barrier), exactly once, in the order of the calls, on the loop goroutine, between
// BeginBatch and EndBatch. It must not block. A barrier has no result. When a command's err is not nil it may or may not have been applied.
type Waiter interface {
	Done(result any, err error)
}

// WaiterFunc is a function as a Waiter.
type WaiterFunc func(result any, err error)

// Done implements Waiter.
func (f WaiterFunc) Done(result any, err error) { f(result, err) }

// Member is a member of the ensemble.
type Member struct {
	ServerID   uint16 // Config.ServerID of that server
	RaftID     uint64 // this incarnation of it: ServerID << 48 | a random number, a new one after its disk was lost
	PeerAddr   string // host:port that members talk on; empty: as it was configured
	ClientAddr string // host:port for clients; empty when nobody has said
	// Learner: it follows and has no vote, because it stays an Observer, or is a guest: a server that nobody has made a voter yet.
	Learner  bool
	Observer bool
}
