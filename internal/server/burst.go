package server

import (
	"errors"
	"time"

	"gopherwood/internal/planted"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// burst handles every whole request in the inbox and sends the replies that are ready: one read of the socket, one hold of
// the tree's lock, one write, however many requests the client has pipelined. want is the size of the frame that is there in
// part, for fill.
func (c *conn) burst() (want int, err error) {
	r := run{c: c, startNs: c.srv.now()}
	want, err = r.all()
	r.release()
	if r.received > 0 {
		r.account()
		c.flushWait()
	}
	return want, err
}

// run is the work of one burst. While it holds the tree's read lock it also holds the connection's mu.
type run struct {
	c        *conn
	startNs  int64
	held     bool
	left     int // reads until the lock is let go
	received int
	reads    int
	size     span // bytes of the replies to reads
	enc      *encoder
	ops      opCounts

	// of the last read that was answered; lastBody is the inbox's
	lastOp   zk.OpCode
	lastXid  int32
	lastBody []byte
}

func (r *run) all() (want int, err error) {
	c := r.c
	if !c.heard.Load() && len(c.in.bytes()) > 0 {
		c.heard.Store(true)
	}
	for !c.stop {
		frame, size, err := wire.SplitFrame(c.in.bytes(), c.srv.cfg.MaxFrame)
		if err != nil {
			return 0, err
		}
		if frame == nil {
			return size, c.srv.expectLarge(size)
		}
		c.in.pos += size
		r.received++
		if err := r.request(frame); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// request handles one request.
func (r *run) request(frame []byte) error {
	d := wire.NewDecoder(frame)
	var h wire.RequestHeader
	h.Decode(&d)
	if err := d.Err(); err != nil {
		return &badRequest{"it sent a request without a header", err}
	}
	c := r.c
	if h.Type != zk.OpPing && c.movedNs.Load() != 0 {
		r.release()
		return c.refuse(reasonMoved)
	}
	body := frame[d.Offset():]
	if slot := slotOf(h.Type); r.ops.count(slot) {
		r.ops.settle(c.srv, time.Duration(c.srv.now()-r.startNs))
		r.ops.count(slot)
	}
	if c.untilSample--; c.untilSample < 0 {
		c.sample(h.Type, body)
	}
	class := classOf(h.Type)
	if class != classAuth && !c.admitted {
		if c.admitted = c.srv.cfg.Security.isAdmitted(c.auth); !c.admitted {
			r.turnAway(&h)
			return nil
		}
	}
	if c.readOnly && (class == classWrite || class == classSync || class == classReconfig) {
		return r.refuseWrite(&h)
	}
	switch class {
	case classRead:
		if c.srv.cfg.LinearizableReads && !c.readOnly && looksAtTree(h.Type) {
			return r.barrierRead(&h, body)
		}
		return r.read(&h, body)
	case classWrite:
		return r.write(&h, body)
	case classSync:
		return r.sync(&h, body)
	case classAuth:
		if h.Type == zk.OpSASL {
			return r.sasl(&h, body)
		}
		return r.auth(&h, body)
	case classReconfig:
		return r.reconfig(&h, body)
	}
	c.srv.noisy.info("answered an operation that is not implemented, and closed the connection", "client", c, "type", int32(h.Type))
	r.decided(&h, zk.ErrUnimplemented, lastReply)
	return nil
}

// read executes a read, or queues it behind what the session has under way.
func (r *run) read(h *wire.RequestHeader, body []byte) error {
	c := r.c
	if !r.held {
		c.mu.Lock()
		alive := c.waitLocked(waitRoom)
		if alive && c.queue.head != nil && !planted.ReadOvertakes.On() {
			q := c.srv.newRequest(c, classRead, h, r.startNs)
			q.auth, q.body = c.auth, append(q.body, body...)
			c.pushLocked(q)
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		if !alive {
			return errEnded
		}
		r.hold() // only this goroutine adds to the queue, so it is still empty
	}
	out := c.outLocked()
	before := len(out.b)
	out.b = c.execute(out.b, h.Type, h.Xid, body, c.auth)
	r.size.add(int64(len(out.b) - before))
	c.note(h.Type, h.Xid, r.startNs, 0)
	r.ops.read()
	r.lastOp, r.lastXid, r.lastBody = h.Type, h.Xid, body
	r.reads++
	r.left--
	dead, high := c.dead, c.backlogLocked() > outHigh
	if c.closing {
		c.stop = true
	}
	if dead || high || r.left == 0 {
		r.release()
	}
	if dead {
		return errEnded
	}
	if high {
		return r.drain()
	}
	return nil
}

// drain waits until the client has taken most of what is there for it.
func (r *run) drain() error {
	c := r.c
	c.flushWait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waitLocked(waitSent) {
		return errEnded
	}
	return nil
}

// hold takes the tree's read lock and the connection's mu, in this order.
func (r *run) hold() {
	r.c.srv.treeMu.RLock()
	r.c.mu.Lock()
	r.held, r.left = true, maxReadRun
}

// release lets go of both.
func (r *run) release() {
	if !r.held {
		return
	}
	r.c.settleLocked()
	r.c.mu.Unlock()
	r.c.srv.treeMu.RUnlock()
	r.held = false
}

// account adds the burst to the counters.
func (r *run) account() {
	s := r.c.srv
	lat := time.Duration(s.now() - r.startNs)
	s.stats.received.Add(int64(r.received))
	s.stats.sent.Add(int64(r.reads))
	r.ops.settle(s, lat)
	if r.reads > 0 && s.slow.is(lat) {
		r.slowBurst(lat)
	}
	r.size.flush(&s.stats.replies)
	if r.enc != nil {
		s.encoders.Put(r.enc)
	}
	r.c.mu.Lock()
	r.c.stats.received += int64(r.received)
	if r.reads > 0 {
		r.c.stats.lastLatNs = int64(lat)
		r.c.stats.maxLatNs = max(r.c.stats.maxLatNs, int64(lat))
		r.c.stats.sumLatNs += int64(lat) * int64(r.reads)
	}
	r.c.mu.Unlock()
}

// enqueue puts a request that somebody else will answer into the queue, when there is room for it.
// taken is false without an error if it was answered instead, because it had waited too long for its turn.
func (r *run) enqueue(h *wire.RequestHeader, q *request, size int) (taken bool, err error) {
	c := r.c
	r.release()
	in, late := r.throttled(h)
	switch {
	case !in:
		err = errEnded
	case late:
		r.decided(h, zk.ErrThrottledOp, moreReplies)
	default:
		if err = c.srv.takeLarge(q, size); err == nil {
			err = r.push(q)
		}
		if err == nil {
			return true, nil
		}
		c.srv.giveLarge(q)
		c.srv.turns.leave(1)
	}
	c.srv.freeRequest(q)
	return false, err
}

func (r *run) push(q *request) error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	alive := c.waitLocked(waitRoom)
	// A write behind a sync waits until the sync is answered. It would be applied as soon as it is committed, and reads
	// between the two would then see it too early; and a sync's answer must come first anyway.
	if alive && q.class == classWrite {
		alive = c.waitLocked(waitNoSync)
	}
	if !alive {
		return errEnded
	}
	c.pushLocked(q)
	c.srv.outstanding.Add(1)
	return nil
}

// write proposes a write.
func (r *run) write(h *wire.RequestHeader, body []byte) error {
	c := r.c
	if r.enc == nil {
		r.enc = c.srv.encoders.Get().(*encoder)
	}
	if c.local && h.Type == zk.OpCloseSession {
		return r.closeLocal(h)
	}
	data, err := r.enc.command(c, h.Type, body)
	if err != nil {
		return r.malformed(h, err)
	}
	if c.local && c.srv.cfg.LocalUpgrade && wantsEphemeral(&r.enc.cmd) {
		if err := c.upgrade(); err != nil {
			return err
		}
		if data, err = r.enc.command(c, h.Type, body); err != nil {
			return r.malformed(h, err)
		}
	}
	q := c.srv.newRequest(c, classWrite, h, r.startNs)
	if taken, err := r.enqueue(h, q, len(body)); !taken {
		return err
	}
	if h.Type == zk.OpCloseSession {
		c.stop, c.saidGoodbye = true, true
	}
	if err := c.srv.rep.Propose(data, q); err != nil {
		c.srv.giveLarge(q)
		c.srv.finished(1)
		return err
	}
	return nil
}

// sync asks for a barrier. The reply waits for it and for the writes before it.
func (r *run) sync(h *wire.RequestHeader, body []byte) error {
	var req wire.SyncRequest
	d := wire.NewDecoder(body)
	req.Decode(&d)
	if err := d.Err(); err != nil {
		return r.malformed(h, err)
	}
	q := r.c.srv.newRequest(r.c, classSync, h, r.startNs)
	q.body = append(q.body, body...)
	if taken, err := r.enqueue(h, q, len(body)); !taken {
		return err
	}
	r.c.srv.rep.Barrier(q)
	return nil
}

// looksAtTree says whether a read shows what others have written.
func looksAtTree(op zk.OpCode) bool {
	switch op {
	case zk.OpExists, zk.OpGetData, zk.OpGetACL, zk.OpGetChildren, zk.OpGetChildren2, zk.OpMultiRead, zk.OpGetEphemerals, zk.OpGetAllChildrenNumber:
		return true
	}
	return false
}

// barrierRead is a read that waits like a sync: it shows everything that was acknowledged to anybody before it was sent.
func (r *run) barrierRead(h *wire.RequestHeader, body []byte) error {
	q := r.c.srv.newRequest(r.c, classSync, h, r.startNs)
	q.auth, q.body = r.c.auth, append(q.body, body...)
	if planted.BarrierReadNotAwaited.On() {
		return r.read(h, body)
	}
	if taken, err := r.enqueue(h, q, len(body)); !taken {
		return err
	}
	r.c.srv.rep.Barrier(q)
	return nil
}

// auth adds an identity to the connection, at once: requests that were sent later have it, those before do not.
func (r *run) auth(h *wire.RequestHeader, body []byte) error {
	var req wire.AuthPacket
	d := wire.NewDecoder(body)
	req.Decode(&d)
	if err := d.Err(); err != nil {
		return r.malformed(h, err)
	}
	c := r.c
	r.release()
	ids, err := c.srv.authenticate(c, &req)
	if err == nil {
		err = c.addIdentities(ids)
	}
	if errors.Is(err, errEnsemble) { // not answered, so that it goes on to the next of its servers, as with ZooKeeper
		c.srv.stats.authFails.Add(1)
		c.kill("it looks for another ensemble (ensembleAuthName)")
		return errEnded
	}
	if err != nil {
		c.srv.stats.authFails.Add(1)
		c.srv.noisy.warn("a client's authentication failed, so its connection is closed", "client", c, "scheme", printable(req.Scheme), "error", err)
		r.decided(h, zk.ErrAuthFailed, lastReply)
		return nil
	}
	r.decided(h, zk.OK, moreReplies)
	return nil
}

// malformed answers a record that is none of its operation's, and ends the connection: its sender cannot be trusted further.
func (r *run) malformed(h *wire.RequestHeader, err error) error {
	r.c.srv.noisy.warn("closed a client's connection: it sent a malformed request", "client", r.c, "type", int32(h.Type), "error", err)
	r.decided(h, zk.ErrMarshalling, lastReply)
	return nil
}

// finality says whether a connection goes on after a reply.
type finality bool

const (
	moreReplies finality = false
	lastReply   finality = true
)

// decided sends a reply that consists of a code, in its turn.
func (r *run) decided(h *wire.RequestHeader, code zk.Code, f finality) {
	r.decidedWith(h, code, nil, f)
}

// decidedWith sends a reply that is there already, a code and a record, in its turn. Like a request it waits for room if it has to wait for its turn.
func (r *run) decidedWith(h *wire.RequestHeader, code zk.Code, record []byte, f finality) {
	c := r.c
	q := c.srv.newRequest(c, classUnknown, h, r.startNs)
	q.code, q.body, q.last = code, append(q.body, record...), bool(f)
	r.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop = c.stop || q.last
	alive := c.waitLocked(waitRoom)
	if alive && c.queue.head != nil {
		c.pushLocked(q)
		return
	}
	if alive {
		c.answerDecided(q)
		c.stats.sent++
		c.srv.stats.sent.Add(1)
	}
	c.srv.freeRequest(q)
}
