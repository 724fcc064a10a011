package replica

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"gopherwood/internal/node"
)

// ErrTooLarge says that a command is over MaxCommandBytes.
var ErrTooLarge = fmt.Errorf("replica: a command is larger than %d bytes", MaxCommandBytes)

// proposals is where Propose puts commands until the loop takes them: the chunk being filled and those that are full.
type proposals struct {
	mu     sync.Mutex
	room   sync.Cond // window has shrunk, or closed
	open   *node.Chunk
	full   []*node.Chunk
	free   []*node.Chunk
	window int // bytes proposed and not yet applied
	closed bool

	observed bool      // constant: first is kept
	first    time.Time // when the oldest command of full and open came
}

// Propose appends a command to this server's origin stream. It is applied exactly once, in the order of the Propose calls, and then w (nil if nobody waits)
// is told; any member takes commands, whoever leads. The bytes are copied. Propose blocks while too much is under way, as it is without a leader sooner or
// later; it fails only when the replica is closed (ErrClosed) or the command too large (ErrTooLarge). It must not be called on the loop goroutine (TryPropose may).
func (r *Replica) Propose(data []byte, w Waiter) error {
	return r.enqueue(context.Background(), data, w)
}

// TryPropose is Propose that returns ErrBusy where Propose would block.
func (r *Replica) TryPropose(data []byte, w Waiter) error {
	return r.enqueue(noWait, data, w)
}

// noWait is the context of those who do not wait for room at all.
var noWait context.Context = impatient{}

type impatient struct{ context.Context }

// enqueue waits for room until ctx ends.
func (r *Replica) enqueue(ctx context.Context, data []byte, w Waiter) error {
	if len(data) > MaxCommandBytes {
		return ErrTooLarge
	}
	p := &r.proposals
	p.mu.Lock()
	if p.window > 0 && p.window+len(data) > node.MaxOriginBytes && !p.closed {
		if err := p.waitLocked(ctx, len(data)); err != nil {
			p.mu.Unlock()
			return err
		}
	}
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if p.open == nil {
		if p.observed && len(p.full) == 0 {
			p.first = time.Now()
		}
		p.open = p.take()
	}
	c := p.open
	before := len(c.Data)
	c.Data = binary.AppendUvarint(c.Data, uint64(len(data)))
	c.Data = append(c.Data, data...)
	c.Waiters = append(c.Waiters, w)
	p.window += len(c.Data) - before
	if len(c.Data) >= maxChunkBytes {
		p.full = append(p.full, c)
		p.open = nil
	}
	p.mu.Unlock()
	r.wakeLoop()
	return nil
}

// waitLocked waits for room for size bytes.
func (p *proposals) waitLocked(ctx context.Context, size int) error {
	if ctx == noWait {
		return ErrBusy
	}
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.room.Broadcast()
	})()
	for p.window > 0 && p.window+size > node.MaxOriginBytes && !p.closed {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		p.room.Wait()
	}
	return nil
}

func (p *proposals) take() *node.Chunk {
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c
	}
	return &node.Chunk{}
}

// keepChunk and keepChunks bound what is kept for reuse.
const (
	keepChunk  = 64 << 10
	keepChunks = 16
)

// acked takes back a chunk whose commands are applied.
func (p *proposals) acked(c *node.Chunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window -= len(c.Data)
	if cap(c.Data) <= keepChunk && len(p.free) < keepChunks {
		clear(c.Waiters)
		*c = node.Chunk{Data: c.Data[:0], Waiters: c.Waiters[:0]}
		p.free = append(p.free, c)
	}
	p.room.Broadcast()
}

// Barrier tells w when everything that was committed anywhere before the call is applied here; a read of the state machine after that is
// linearizable. It waits for as long as there is no leader. w gets ErrBusy on the loop goroutine if too many barriers wait.
func (r *Replica) Barrier(w Waiter) {
	r.call(func() { r.barrier(w) }, func() { w.Done(nil, ErrClosed) })
}

// barrier is Barrier on the loop goroutine. While the ensemble is being looked for it waits for the node; start hands it over.
func (r *Replica) barrier(w Waiter) {
	err := error(ErrBusy)
	switch {
	case r.node != nil:
		err = r.node.Barrier(w)
	case len(r.early) < maxEarlyBarriers:
		r.early = append(r.early, w)
		return
	}
	if err != nil {
		w.Done(nil, err)
	}
}

// ToLeader sends a datagram to the leader's MessageHandler, best effort; data becomes the replica's.
func (r *Replica) ToLeader(data []byte) {
	r.call(func() {
		if r.node != nil { // else there is no leader either
			r.node.ToLeader(data)
		}
	}, nil)
}

// waiter is a Waiter for a caller who blocks.
type waiter struct {
	ch chan outcome
}

type outcome struct {
	result any
	err    error
}

func (w waiter) Done(result any, err error) { w.ch <- outcome{result, err} }

// Do proposes a command and waits for its result. Its errors:
//
//   - ErrBusy: ctx ended while there was no room for the command. It is not applied.
//   - ErrOutcomeUnknown: ctx ended before there was a result (the error is ctx.Err(), too), or the result was lost in a snapshot. The
//     command may be applied, or be applied later.
//   - ErrClosed: the replica has stopped. As above, if the command was under way.
//   - ErrTooLarge: nothing was done.
//
// Nothing of it has to be tried again because the leader changed: the replica does that itself.
func (r *Replica) Do(ctx context.Context, data []byte) (any, error) {
	w := waiter{make(chan outcome, 1)}
	if err := r.enqueue(ctx, data, w); err != nil {
		return nil, err
	}
	select {
	case o := <-w.ch:
		return o.result, o.err
	case <-ctx.Done():
		return nil, &unknownError{ctx.Err()}
	}
}

// unknownError says that somebody did not wait for the outcome of a command.
type unknownError struct{ cause error }

func (e *unknownError) Error() string {
	return "replica: no result yet, and the command may be applied all the same: " + e.cause.Error()
}
func (e *unknownError) Is(target error) bool { return target == ErrOutcomeUnknown }
func (e *unknownError) Unwrap() error        { return e.cause }

// Sync waits until everything that was committed anywhere before the call is applied here. A read of the state machine after it is linearizable. It
// changes nothing, so that it may be called again whatever its error.
func (r *Replica) Sync(ctx context.Context) error {
	w := waiter{make(chan outcome, 1)}
	r.Barrier(w)
	select {
	case o := <-w.ch:
		return o.err
	case <-ctx.Done():
		return fmt.Errorf("replica: no majority has answered yet: %w", ctx.Err())
	}
}

// ask runs f on the loop goroutine and returns what it returns. f may still run after ctx has ended: it must not write to what the caller has.
func ask[T any](ctx context.Context, r *Replica, f func() T) (T, error) {
	got, closed := make(chan T, 1), make(chan struct{})
	r.call(func() { got <- f() }, func() { close(closed) })
	var none T
	select {
	case v := <-got:
		return v, nil
	case <-closed:
		return none, ErrClosed
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
