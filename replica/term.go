package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gopherwood/internal/node"
)

// Term is a term in which this member leads.
type Term struct {
	// Number is raft's. A command that only this term's leader may give carries it, and Apply compares it with Command.Term.
	Number uint64
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Context ends when this member knows that it does not lead in this term any more, or when the replica stops. A process that was paused learns
// it late: what must not happen then has to be a command that carries Number.
func (t *Term) Context() context.Context { return t.ctx }

// errTermOver is why a Term's context ends.
var errTermOver = errors.New("replica: this member does not lead any more")

// terms hands out the terms in which this member leads.
type terms struct {
	ch chan *Term // of one: the newest that nobody has taken

	mu  sync.Mutex
	now *Term // nil while this member does not lead
}

// Terms is a channel of the terms in which this member leads. A term comes when "I lead" is true in full: this member was elected, and has applied an
// entry of its own term, so that its state holds everything that was acknowledged before. There is one channel, for one receiver:
//
//	for term := range r.Terms() {
//		lead(term.Context(), term.Number) // returns when the context ends
//	}
//
// A term that is over before it is received is skipped. The channel is closed when the replica stops.
func (r *Replica) Terms() <-chan *Term { return r.terms.ch }

// leaderChanged is called on the loop goroutine.
func (t *terms) leaderChanged(l node.Leadership) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now != nil && (!l.Mine || l.Term != t.now.Number) {
		t.endLocked(errTermOver)
	}
	if !l.Mine || t.now != nil {
		return
	}
	t.now = &Term{Number: l.Term}
	t.now.ctx, t.now.cancel = context.WithCancelCause(context.Background())
	t.ch <- t.now // there is room: endLocked has taken out the one before
}

// endLocked ends the present term, and takes it back if nobody has received it.
func (t *terms) endLocked(why error) {
	if t.now == nil {
		return
	}
	t.now.cancel(why)
	t.now = nil
	select {
	case <-t.ch:
	default:
	}
}

// close ends the last term. The loop goroutine calls it when it ends.
func (t *terms) close(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(why)
	close(t.ch)
}

// ErrNotLeader says that another member leads, or is about to: ask that one. A *NotLeaderError is one, and says which.
var ErrNotLeader = node.ErrNotLeader

// NotLeaderError is ErrNotLeader with a hint.
type NotLeaderError struct {
	// Leader is who led when this was said; its ServerID is 0 if nobody did.
	Leader Member
}

// Error says whom to ask.
func (e *NotLeaderError) Error() string {
	if e.Leader.ServerID == 0 {
		return "replica: this member does not lead, and no leader is known; wait for an election and try again"
	}
	return fmt.Sprintf("replica: this member does not lead; server %d does (%s)", e.Leader.ServerID, e.Leader.PeerAddr)
}

// Is makes it an ErrNotLeader.
func (e *NotLeaderError) Is(target error) bool { return target == ErrNotLeader }

// notLeader is a NotLeaderError. Loop goroutine.
func (r *Replica) notLeader() error {
	e := &NotLeaderError{}
	if r.node == nil {
		return e
	}
	if id := r.node.Leadership().Leader; id != 0 && id != r.identity.RaftID {
		e.Leader = Member{RaftID: id, ServerID: node.ServerOf(id)}
		for _, m := range r.node.State().Members() {
			if m.RaftID == id {
				e.Leader = Member(m)
			}
		}
		if e.Leader.PeerAddr == "" {
			e.Leader.PeerAddr = r.cfg.Peers[e.Leader.ServerID]
		}
	}
	return e
}

// explained is an error of the node as this package says it. Loop goroutine.
func (r *Replica) explained(err error) error {
	var absent *node.NotSyncedError
	switch {
	case err == ErrNotLeader:
		return r.notLeader()
	case errors.As(err, &absent):
		return &NotSyncedError{Servers: absent.Servers}
	}
	return err
}
