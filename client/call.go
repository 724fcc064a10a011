package client

import (
	"context"
	"encoding/binary"
	"slices"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// record is a request's body.
type record interface {
	Append(b []byte) []byte
}

type callState uint8

const (
	callNew      callState = iota // not submitted
	callQueued                    // in Client.queue
	callSent                      // in Client.sent or Client.auths: its bytes may have left
	callFinished                  // done is closed
)

// call is one request on its way. It is queued, sent and finished, in that order; a connection that is lost may put a sent one
// back into the queue.
type call struct {
	// constant after submit
	op       zk.OpCode
	path     string // as the caller gave it, for errors
	fullPath string // with the chroot
	frame    []byte // length, header with the xid patched in when sent, body
	again    bool   // may be sent twice: it changes nothing, or nothing that doing twice would change
	pipe     *Pipeline
	watch    *Watch         // to register when the answer comes, or nil
	remove   zk.WatcherType // watches to forget when the answer comes, or 0
	auth     Auth           // of OpAuth
	prologue bool           // an identity proved again on a new connection: nobody waits for the answer
	internal bool           // the client's own: it weighs nothing and nobody waits

	// guarded by Client.mu
	xid       int32
	sends     int // times it was sent
	state     callState
	abandoned bool // the caller has gone; the answer is dropped

	// written before done is closed
	done    chan struct{}
	body    []byte // what follows the reply's header
	err     error  // zk.Code, ErrClosed; nil when the server said OK
	unknown bool   // OutcomeUnknown of the error
}

const (
	frameHeaderBytes = wire.FrameHeaderSize + 8 // length, xid, type
	xidOffset        = wire.FrameHeaderSize
)

// newCall builds the request's frame. body may be nil. sizeHint is about how long it is.
func newCall(op zk.OpCode, path string, body record, sizeHint int) *call {
	b := make([]byte, 0, frameHeaderBytes+sizeHint+len(path)+32)
	b, mark := wire.BeginFrame(b)
	h := wire.RequestHeader{Type: op}
	b = h.Append(b)
	if body != nil {
		b = body.Append(b)
	}
	_ = wire.EndFrame(b, mark) // submit refuses what is too long
	return &call{op: op, path: path, frame: b, done: make(chan struct{})}
}

func (k *call) setXid(xid int32) {
	k.xid = xid
	binary.BigEndian.PutUint32(k.frame[xidOffset:], uint32(xid))
}

// weight is what the call takes of the gate.
func (k *call) weight() int {
	if k.internal {
		return 0
	}
	return len(k.frame) + callOverheadBytes
}

// submit puts the call into the queue. It waits at the bound of pending bytes. The error is complete (an *Error).
func (c *Client) submit(ctx context.Context, k *call) error {
	if err := ctx.Err(); err != nil {
		return k.fail(err, false)
	}
	if len(k.frame)-wire.FrameHeaderSize > wire.MaxFrame {
		return k.fail(wire.ErrFrameTooLong, false)
	}
	if err := c.gate.enter(ctx, c.ended, k.weight()); err != nil {
		if err == ErrClosed {
			err = c.Err()
		}
		return k.fail(err, false)
	}
	c.mu.Lock()
	var err error
	switch {
	case c.endErr != nil:
		err = c.endErr
	case c.closing:
		err = ErrClosed
	case k.pipe != nil && k.pipe.broken:
		err = zk.ErrConnectionLoss
	default:
		c.enqueueLocked(k)
	}
	c.mu.Unlock()
	if err != nil {
		c.gate.leave(k.weight())
		return k.fail(err, false)
	}
	c.kick()
	return nil
}

func (c *Client) enqueueLocked(k *call) {
	k.state = callQueued
	c.queue.push(k)
}

// kick tells the writer that the queue is not empty.
func (c *Client) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// await waits for the answer. If ctx ends first the call is abandoned: taken out of the queue, or its answer dropped.
func (c *Client) await(ctx context.Context, k *call) ([]byte, error) {
	select {
	case <-k.done:
		return k.result()
	case <-ctx.Done():
	}
	c.mu.Lock()
	if k.state == callFinished { // meanwhile; what it came to is about to be there
		c.mu.Unlock()
		<-k.done
		return k.result()
	}
	k.abandoned = true
	sent := k.state == callSent
	queued := k.state == callQueued
	if queued {
		k.state = callFinished
		c.queue.remove(k)
	}
	c.mu.Unlock()
	if queued {
		c.gate.leave(k.weight())
	}
	return nil, k.fail(ctx.Err(), sent && !k.again)
}

// result is what the server answered. Only after done.
func (k *call) result() ([]byte, error) {
	if k.err != nil {
		return nil, k.fail(k.err, k.unknown)
	}
	return k.body, nil
}

// fail wraps a cause into the call's *Error.
func (k *call) fail(cause error, unknown bool) error {
	return &Error{Op: opName(k.op), Path: k.path, Cause: cause, OutcomeUnknown: unknown}
}

// finish ends the call. The caller holds no lock; the call is in no queue any more.
func (c *Client) finish(k *call, body []byte, err error, unknown bool) {
	c.gate.leave(k.weight())
	k.body, k.err, k.unknown = body, err, unknown
	close(k.done)
}

// callQueue is a first-in first-out queue that reuses its space.
type callQueue struct {
	items []*call
	head  int
}

func (q *callQueue) len() int { return len(q.items) - q.head }

func (q *callQueue) push(k *call) {
	if q.head > 0 && len(q.items) == cap(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, k)
}

// pop takes the oldest, or nil.
func (q *callQueue) pop() *call {
	if q.len() == 0 {
		return nil
	}
	k := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return k
}

// remove takes k out, wherever it is.
func (q *callQueue) remove(k *call) {
	if i := slices.Index(q.items[q.head:], k); i >= 0 {
		q.items = slices.Delete(q.items, q.head+i, q.head+i+1)
	}
}

// peek is the oldest, or nil.
func (q *callQueue) peek() *call {
	if q.len() == 0 {
		return nil
	}
	return q.items[q.head]
}

// take empties the queue.
func (q *callQueue) take() []*call {
	all := append([]*call(nil), q.items[q.head:]...)
	clear(q.items)
	q.items, q.head = q.items[:0], 0
	return all
}

// all is the queue's present contents, oldest first.
func (q *callQueue) all() []*call { return q.items[q.head:] }

var opNames = map[zk.OpCode]string{
	zk.OpCreate: "create", zk.OpCreate2: "create", zk.OpCreateContainer: "create", zk.OpCreateTTL: "create",
	zk.OpDelete: "delete", zk.OpExists: "exists", zk.OpGetData: "get", zk.OpSetData: "set",
	zk.OpGetACL: "get ACL", zk.OpSetACL: "set ACL", zk.OpGetChildren: "children", zk.OpGetChildren2: "children",
	zk.OpSync: "sync", zk.OpCheck: "check", zk.OpMulti: "multi", zk.OpMultiRead: "multi-read",
	zk.OpAddWatch: "add watch", zk.OpCheckWatches: "check watches", zk.OpRemoveWatches: "remove watches",
	zk.OpAuth: "auth", zk.OpGetEphemerals: "ephemerals", zk.OpGetAllChildrenNumber: "children number",
	zk.OpWhoAmI: "whoami", zk.OpCloseSession: "close",
}

func opName(op zk.OpCode) string { return opNames[op] }
