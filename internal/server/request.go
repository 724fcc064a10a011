package server

import (
	"errors"

	"gopherwood/internal/tree"
	"gopherwood/internal/wire"
	"gopherwood/replica"
	"gopherwood/zk"
)

// request is one request of a connection that could not be answered at once: it is proposed, or it waits behind one that is.
// Requests come from the server's pool. After it was queued, a request is guarded by its connection's mu.
type request struct {
	c    *conn
	next *request

	class class
	op    zk.OpCode
	xid   int32
	ready bool // classSync: the barrier was reached, but writes before it were not

	startNs int64
	auth    []zk.ID // classRead, and classSync if it is a read that waits for a barrier: the connection's identities when it came
	large   int     // bytes in Server.largeBytes
	body    []byte  // classRead, classSync: the request's record; classUnknown: the reply's; the request owns it

	// of an answer that is decided already (class classUnknown)
	code zk.Code
	last bool // the connection closes after it
}

// queue is the requests of one connection that wait, in the order in which they came. Only its reader adds to it.
//
// Invariant: if it is not empty, its head is a write, or a sync whose barrier was not reached.
type queue struct {
	head, tail *request
	len        int
	syncs      int
	bytes      int // of bodies
}

func (q *queue) push(r *request) {
	if q.tail == nil {
		q.head = r
	} else {
		q.tail.next = r
	}
	q.tail = r
	q.len++
	q.bytes += len(r.body)
	if r.class == classSync {
		q.syncs++
	}
}

// pushLocked puts a request into the queue and counts its body.
func (c *conn) pushLocked(r *request) {
	if len(r.body) > 0 {
		c.srv.inTotal.Add(int64(len(r.body)))
	}
	c.queue.push(r)
}

func (q *queue) pop() *request {
	r := q.head
	if q.head = r.next; q.head == nil {
		q.tail = nil
	}
	q.len--
	q.bytes -= len(r.body)
	if r.class == classSync {
		q.syncs--
	}
	r.next = nil
	return r
}

func (s *Server) newRequest(c *conn, class class, h *wire.RequestHeader, startNs int64) *request {
	r := s.requests.Get().(*request)
	r.c, r.class, r.op, r.xid, r.startNs = c, class, h.Type, h.Xid, startNs
	return r
}

func (s *Server) freeRequest(r *request) {
	body := r.body[:0]
	if cap(body) > pooledBytes {
		body = nil
	}
	*r = request{body: body}
	s.requests.Put(r)
}

// Done is the outcome of a write or a barrier (replica.Waiter): on the loop's goroutine, inside a batch, so under the tree's write
// lock; only an error may come from elsewhere. It answers the request and everything that waited for it.
func (r *request) Done(result any, err error) {
	c, s := r.c, r.c.srv
	s.giveLarge(r)
	if err != nil {
		s.finished(1)
		c.kill(whyUnanswered(err))
		return
	}
	s.loop.answered++
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead, c.closing: // nobody waits for it any more; what is in front of it was given up
		s.freeRequest(r)
		return
	case r.class == classSync:
		r.ready = true
	default:
		if c.queue.head != r {
			panic("server: a write was applied before the requests in front of it were answered")
		}
		if !c.answerWrite(r, result.(*tree.Result)) {
			return
		}
		s.loop.writes++
		if total := s.loop.since(r.startNs); s.observed.on {
			s.observeWrite(r, total)
		} else {
			s.stats.writes.add(1, total)
		}
		c.popLocked()
	}
	c.drainLocked()
	s.loop.touch(c)
	c.wakeLocked()
}

// whyUnanswered is why a request cannot be answered, as the end of a log line.
func whyUnanswered(err error) string {
	switch {
	case errors.Is(err, replica.ErrClosed):
		return reasonQuiet
	case errors.Is(err, replica.ErrOutcomeUnknown):
		return "the state came in a snapshot, so the outcome of its writes is not known here"
	case errors.Is(err, replica.ErrBusy):
		return "too many clients wait for a sync"
	}
	return err.Error()
}

// popLocked takes the head, which is answered, out of the queue.
func (c *conn) popLocked() {
	r := c.queue.pop()
	if len(r.body) > 0 {
		c.srv.inTotal.Add(-int64(len(r.body)))
	}
	c.note(r.op, r.xid, c.srv.loop.nowNs, c.srv.loop.since(r.startNs))
	c.srv.loop.sent++
	c.srv.freeRequest(r)
}

// drainLocked answers what is at the head of the queue and waits for nothing more: reads, decided answers, syncs that are
// ready. The loop calls it under the tree's write lock.
func (c *conn) drainLocked() {
	for r := c.queue.head; r != nil && !c.dead && !c.closing; r = c.queue.head {
		switch r.class {
		case classWrite:
			return
		case classSync:
			if !r.ready {
				return
			}
			if r.op == zk.OpSync {
				c.answerSync(r)
			} else {
				c.answerRead(r)
			}
		case classRead:
			c.answerRead(r)
		default:
			c.answerDecided(r)
		}
		c.popLocked()
	}
}

// answerRead executes a read that waited.
func (c *conn) answerRead(r *request) {
	out := c.outLocked()
	out.b = c.execute(out.b, r.op, r.xid, r.body, r.auth)
	c.observeQueued(r, c.srv.loop.since(r.startNs))
	if c.backlogLocked() > outHigh+c.srv.cfg.MaxReplyBytes {
		c.killLocked("the replies to its reads behind a write are too long together")
	}
}

// answerSync replies to a sync whose barrier was reached, with the path that was asked about.
func (c *conn) answerSync(r *request) {
	var req wire.SyncRequest
	d := wire.NewDecoder(r.body)
	req.Decode(&d)
	out := c.outLocked()
	b, mark := wire.BeginFrame(out.b)
	h := wire.ReplyHeader{Xid: r.xid, Zxid: c.srv.tree.LastZxid()}
	b = wire.AppendString(h.Append(b), req.Path)
	out.b = endFrame(b, mark)
}

// answerDecided sends a reply that holds a code and a record that is there already, mostly none.
func (c *conn) answerDecided(r *request) {
	out := c.outLocked()
	b, mark := wire.BeginFrame(out.b)
	h := wire.ReplyHeader{Xid: r.xid, Err: r.code}
	if r.code == zk.ErrUnimplemented { // as ZooKeeper's UnimplementedRequestProcessor: the zxid of requests without a transaction
		h.Zxid = noZxid
	}
	out.b = endFrame(append(h.Append(b), r.body...), mark)
	if r.last {
		c.closeLocked()
	}
}

// endFrame closes a frame that is known to be far shorter than a length can state.
func endFrame(b []byte, mark int) []byte {
	if err := wire.EndFrame(b, mark); err != nil {
		panic(err)
	}
	return b
}
