package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cespare/xxhash/v2"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	front "gopherwood/internal/server"
	"gopherwood/internal/tree"
	"gopherwood/replica"
)

// service is the real server as the machine under test (workload "server"): the connections, the order of requests, sessions, watches and expiry of
// internal/server, whose goroutines are tasks, over the process's node. It is what package replica is to it in production (server.Replicator), and the network
// of its clients.
//
//	zkClient ═══ line ═══ server.Server (tasks) ── Propose, Barrier, datagrams ──▶ node
//	    │ checks                ▲ Apply, Done, Tick, Message ◀─────────────────────┘
//	    ▼
//	chronicle: every state and event by zxid, from a tree of its own that is fed with what the first replica applies
type service struct {
	p     *process
	tasks *tasks
	srv   *front.Server
	hash  *forest // lends its hash of a result
	lines []*line // the open ones, oldest first

	// The origin stream's driver.
	open    []proposal // waits for the loop
	window  int        // bytes proposed and not yet given back
	due     bool       // the loop will take it
	waiting []*int     // tasks that wait for the window, in any order
	early   []node.Waiter
	callAt  int64 // when the last call arrives at the loop
	over    bool
}

type proposal struct {
	data []byte
	w    node.Waiter
}

func newService(p *process) *service {
	sv := &service{p: p, tasks: newTasks(p), hash: newForest(p.sim)}
	cfg := p.sim.sp.config
	cfg.ID, cfg.Runtime = uint64(p.srv.id), sv.tasks
	cfg.Log = slog.New(logHandler{p})
	for _, v := range p.sim.servers {
		cfg.Members = append(cfg.Members, front.Member{ID: uint64(v.id), PeerAddr: memberAddr(v.id, 2888), ElectPort: "3888"})
	}
	cfg.ClientAddr = memberAddr(p.srv.id, 2181)
	srv, err := front.New(cfg)
	if err != nil {
		p.sim.fail("server %d cannot make its server: %v", p.srv.id, err)
	}
	sv.srv = srv
	return sv
}

// booted says that the process has a node.
func (sv *service) booted() {
	for _, w := range sv.early {
		sv.barrier(w)
	}
	sv.early = nil
	sv.p.node.TellMembers()
	if len(sv.open) > 0 {
		sv.due = true
		sv.p.at(0, sv.submit)
	}
}

// ended is the end of the process. Nothing of it is heard any more; the server is closed to see that every one of its goroutines ends.
func (sv *service) ended(silent bool) {
	sv.over = true
	if sv.p.inBatch { // it gave up in the midst of one
		sv.p.audit.EndBatch()
	}
	for _, l := range sv.lines {
		l.serverGone(silent)
	}
	sv.lines = nil
	for _, o := range sv.open { // the node has told the others, if it was stopped in good order
		if o.w != nil {
			o.w.Done(nil, replica.ErrClosed)
		}
	}
	if err := sv.srv.Close(); err != nil {
		sv.p.sim.fail("server %d: close: %v", sv.p.srv.id, err)
	}
	sv.tasks.close()
}

// accept takes a client's connection.
func (sv *service) accept(l *line) {
	sv.lines = append(sv.lines, l)
	sv.srv.ServeConn(serverEnd{l})
}

// closedLine forgets a connection that the server has closed.
func (sv *service) closedLine(l *line) {
	for i, o := range sv.lines {
		if o == l {
			sv.lines = append(sv.lines[:i], sv.lines[i+1:]...)
			return
		}
	}
}

// The machine.

func (sv *service) apply(c *node.Command, body []byte) outcome {
	cc := *c
	cc.Data = body
	res, ok := sv.srv.Apply(replica.Command(cc)).(*tree.Result)
	if !ok {
		sv.p.sim.fail("the server's result is no *tree.Result")
	}
	sv.hash.result = *res
	return outcome{hash: sv.hash.hash(), result: res}
}

func (sv *service) digest() uint64 { return sv.srv.Digest() }

type serviceView struct{ node.View }

func (sv *service) view() (machineView, error) {
	v, err := sv.srv.View()
	return serviceView{v}, err
}

func (v serviceView) writeTo(w io.Writer) error {
	_, err := v.WriteTo(w)
	return err
}

func (v serviceView) close() { v.Close() }

func (sv *service) restore(r io.Reader) error { return sv.srv.Restore(r) }

func (sv *service) expiry(uint64, random) []byte { return nil } // the server decides that itself

// The replicator.

// Propose implements server.Replicator: as package replica's, it makes who proposes wait while too much is under way.
func (sv *service) Propose(data []byte, w replica.Waiter) error {
	sv.tasks.yieldNow(sv.p.sim.taskRand)
	for sv.window > 0 && sv.window+len(data) > sv.p.sim.sp.originWindow && !sv.over {
		key := new(int)
		sv.waiting = append(sv.waiting, key)
		sv.p.sim.stats.Swarm.Proposers++
		sv.tasks.Park(key, 0)
	}
	return sv.propose(data, w)
}

// TryPropose implements server.Replicator.
func (sv *service) TryPropose(data []byte, w replica.Waiter) error {
	if sv.window > 0 && sv.window+len(data) > sv.p.sim.sp.originWindow {
		return node.ErrBusy
	}
	return sv.propose(data, w)
}

func (sv *service) propose(data []byte, w replica.Waiter) error {
	if sv.over {
		return replica.ErrClosed
	}
	sv.open = append(sv.open, proposal{append([]byte(nil), data...), w})
	sv.window += len(data)
	if !sv.due && sv.p.node != nil {
		sv.due = true
		sv.p.at(sv.p.sim.taskRand.between(0, sv.p.sim.sp.loopUs), sv.submit)
	}
	return nil
}

// submit is the loop's part: what was proposed goes to the node as one chunk.
func (sv *service) submit() {
	sv.due = false
	p := sv.p
	if len(sv.open) == 0 {
		return
	}
	chunk := &node.Chunk{}
	for _, o := range sv.open {
		data := append(binary.LittleEndian.AppendUint64(nil, p.seq+1), o.data...)
		p.seq = p.sim.ghost.submitted(p.origin, xxhash.Sum64(data))
		chunk.Data = append(binary.AppendUvarint(chunk.Data, uint64(len(data))), data...)
		chunk.Waiters = append(chunk.Waiters, &proposed{waiter{p: p, seq: p.seq}, o.w, len(o.data)})
	}
	p.pending += len(sv.open)
	p.chunks++
	sv.open = nil
	p.node.Submit(chunk)
}

// proposed is the waiter of a proposal: the simulator's, then the server's.
type proposed struct {
	waiter
	inner node.Waiter
	size  int
}

// Done implements node.Waiter.
func (w *proposed) Done(result any, err error) {
	w.waiter.Done(result, err)
	sv := w.p.audit.inner.(*service)
	sv.window -= w.size
	sv.wakeProposers()
	if w.inner == nil {
		return
	}
	if err != nil {
		w.inner.Done(nil, err)
	} else {
		w.inner.Done(result.(outcome).result, nil)
	}
}

// wakeProposers lets all look who wait for the window, as a broadcast does: who is first is chance.
func (sv *service) wakeProposers() {
	for _, key := range sv.waiting {
		sv.tasks.Wake(key)
	}
	sv.waiting = sv.waiting[:0]
}

// call does something on the loop, in the order of the calls.
func (sv *service) call(do func()) {
	if sv.over {
		return
	}
	s := sv.p.sim
	sv.callAt = max(sv.callAt, s.now+s.taskRand.between(0, s.sp.loopUs))
	sv.p.at(sv.callAt-s.now, do)
}

// Barrier implements server.Replicator.
func (sv *service) Barrier(w replica.Waiter) {
	if sv.over {
		w.Done(nil, replica.ErrClosed)
		return
	}
	sv.tasks.yieldNow(sv.p.sim.taskRand)
	b := &serverBarrier{barrier{p: sv.p, index: sv.p.sim.ghost.maxIndex}, w}
	sv.p.barriers++
	sv.call(func() { sv.barrier(b) })
}

func (sv *service) barrier(w replica.Waiter) {
	if sv.p.node == nil {
		sv.early = append(sv.early, w)
		return
	}
	if err := sv.p.node.Barrier(w); err != nil {
		w.Done(nil, err)
	}
}

// serverBarrier is a barrier that the server waits for.
type serverBarrier struct {
	barrier
	inner node.Waiter
}

// Done implements node.Waiter.
func (b *serverBarrier) Done(_ any, err error) {
	if errors.Is(err, node.ErrBusy) {
		b.p.barriers--
	} else {
		b.barrier.Done(nil, err)
	}
	b.inner.Done(nil, err)
}

// BeginReconfigure implements server.Replicator.
func (sv *service) BeginReconfigure(want []replica.Member, done func(error)) {
	target := make([]peer.Member, 0, len(want))
	for _, m := range want {
		target = append(target, peer.Member(m))
	}
	sv.call(func() {
		if sv.p.node == nil {
			done(replica.ErrNotLeader)
			return
		}
		err := sv.p.node.Reconfigure(target)
		if absent, ok := errors.AsType[*node.NotSyncedError](err); ok { // as package replica says it
			err = &replica.NotSyncedError{Servers: absent.Servers}
		}
		done(err)
	})
}

// ToMember implements server.Replicator.
func (sv *service) ToMember(to uint64, data []byte) {
	sv.call(func() {
		if sv.p.node != nil {
			sv.p.node.ToMember(to, data)
		}
	})
}

// ToLeader implements server.Replicator.
func (sv *service) ToLeader(data []byte) {
	sv.call(func() {
		if sv.p.node != nil {
			sv.p.node.ToLeader(data)
		}
	})
}

// Origin implements server.Replicator.
func (sv *service) Origin() uint64 { return sv.p.origin }

// Status implements server.Replicator: nobody asks here.
func (sv *service) Status() replica.Status { return replica.Status{} }

// yieldNow lets others run first, more often than not not.
func (ts *tasks) yieldNow(r random) {
	if ts.p.sim.running != nil && !ts.closing && r.chance(0.2) {
		ts.Park(new(int), time.Duration(r.between(1, 200))*time.Microsecond)
	}
}

// service is the real server, if that is what runs.
func (a *auditor) service() *service {
	sv, _ := a.inner.(*service)
	return sv
}

// MembersChanged implements node.MembersObserver.
func (a *auditor) MembersChanged(members []peer.Member, joint bool) {
	if sv := a.service(); sv != nil {
		told := make([]replica.Member, 0, len(members))
		for _, m := range members {
			told = append(told, replica.Member(m))
		}
		sv.srv.MembersChanged(told, joint)
	}
}

func memberAddr(id uint16, port int) string { return fmt.Sprintf("10.0.0.%d:%d", id, port) }

// underBounds checks that the server holds no more than it may for its clients.
func (k *zkLink) underBounds() {
	sv := k.line.svc
	if sv == nil {
		return
	}
	l, c := sv.srv.Load(), &k.client.sim.sp.config
	if l.Longest > c.MaxOutstanding || l.Connections > maxLines || l.OutBytes > c.MaxOutBytes+maxReply {
		k.fail("its server holds %d requests of one connection, %d bytes of replies of one, and has %d connections", l.Longest, l.OutBytes, l.Connections)
	}
}
