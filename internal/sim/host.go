package sim

import (
	"bytes"
	"errors"
	"io/fs"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/raftlog"
	"gopherwood/internal/vfs"
)

// host carries out the effects of a process's node.
type host struct{ p *process }

func (h host) Send(m *peer.Message) bool { return h.p.send(m) }

// Append gives a record to the writer, which takes all that waits into one write, as the writing goroutine does.
func (h host) Append(r *raftlog.Record) {
	p := h.p
	p.queue = append(p.queue, r)
	p.appends++
	p.wakeWriter()
}

func (p *process) wakeWriter() {
	if p.writing || len(p.queue) == 0 {
		return
	}
	p.writing, p.writeFrom = true, p.sim.now
	p.background(p.sim.diskRand.between(1, 50), p.write)
}

// background schedules something that another goroutine of the process does: no Flush follows.
func (p *process) background(us int64, do func()) {
	p.sim.after(us, func() {
		switch {
		case p.dead:
		case p.paused:
			p.held = append(p.held, func() { p.background(0, do) })
		default:
			do()
			if !p.dead && p.disk.off() {
				p.srv.powerWasCut()
			}
		}
	})
}

func (p *process) write() {
	batch := p.queue
	p.queue = nil
	p.logWrite(batch)
	if err := p.writer.Write(batch); !p.ioDone("write the log", err) {
		p.srv.mirror.batches = append(p.srv.mirror.batches, batch)
		return // it may be there, in whole or not
	}
	p.srv.mirror.batches = append(p.srv.mirror.batches, batch)
	p.writes++
	p.noteDurable()
	delay := p.sim.syncDelay()
	if until := p.stalled - p.sim.now; until > delay {
		delay = until
	}
	p.background(delay, func() { p.sync(batch) })
}

// logWrite says in the trace what is about to be written.
func (p *process) logWrite(batch []*raftlog.Record) {
	first, last := uint64(0), uint64(0)
	for _, r := range batch {
		if n := len(r.Entries); n > 0 {
			if first == 0 {
				first = r.Entries[0].GetIndex()
			}
			last = r.Entries[n-1].GetIndex()
		}
	}
	p.sim.log(p.srv.id, "writes %d records, entries from %d to %d", uint64(len(batch)), first, last)
}

func (p *process) sync(batch []*raftlog.Record) {
	if !p.sim.o.Bugs.SkipSync {
		if err := p.writer.Sync(); !p.ioDone("sync the log", err) {
			return
		}
	}
	p.noteDurable()
	p.writing = false
	p.wakeWriter()
	p.reportAt = max(p.reportAt, p.sim.now+p.sim.diskRand.between(1, 100)) // one report does not overtake another
	p.at(p.reportAt-p.sim.now, func() {
		for _, r := range batch {
			p.appends--
			p.node.Persisted(r)
		}
	})
}

// noteDurable brings the mirror up to date: what was written is durable once no log file wants a sync.
func (p *process) noteDurable() {
	if p.disk.clean() {
		p.srv.mirror.synced()
	}
}

// ioDone says whether a disk operation was carried out. A cut of the power ends the process after the event; anything else is a failure.
func (p *process) ioDone(what string, err error) bool {
	if err == nil {
		return true
	}
	if !errors.Is(err, vfs.ErrPowerOff) {
		p.sim.fail("server %d: %s: %v", p.srv.id, what, err)
	}
	return false
}

// tidy is the log's background goroutine and its timer.
func (p *process) tidy() {
	if p.log.NeedsPrepare() {
		if !p.ioDone("prepare a segment", p.log.Prepare()) {
			return
		}
	}
	if !p.ioDone("write the watermark", p.log.Watermark()) {
		return
	}
	p.background(p.sim.diskRand.between(50*millisecond, 150*millisecond), p.tidy)
}

// TakeSnapshot writes the file in two steps, some time after the view was made.
func (h host) TakeSnapshot(s *node.Snapshot) {
	p := h.p
	p.sim.log(p.srv.id, "takes a snapshot at %d", s.Meta.GetIndex(), 0, 0)
	p.background(p.sim.diskRand.about(20*millisecond), func() {
		w, err := p.log.CreateSnapshot(s.Meta)
		if err == nil {
			err = s.Write(w)
		}
		if !p.ioDone("write a snapshot", err) {
			return
		}
		if !p.sim.calm && p.sim.diskRand.chance(0.05) { // as when the disk is full
			if !p.ioDone("abort a snapshot", w.Abort()) {
				return
			}
			p.at(0, func() { p.snapshotTaken(s, 0, raftlog.ErrNoSpace) })
			return
		}
		p.background(p.sim.diskRand.about(30*millisecond), func() {
			if p.ioDone("commit a snapshot", w.Commit()) {
				p.at(10, func() { p.snapshotTaken(s, p.snapshotSize(s.Meta.GetIndex()), nil) })
			}
		})
	})
}

func (p *process) snapshotTaken(s *node.Snapshot, size int64, err error) {
	p.sim.stats.Snapshots++
	p.expectError = err != nil
	p.node.SnapshotTaken(s, size, err)
	p.expectError = false
}

func (p *process) snapshotSize(index uint64) int64 {
	f, err := p.log.OpenSnapshotRaw(index)
	if err != nil {
		p.sim.fail("server %d: open snapshot %d: %v", p.srv.id, index, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		p.sim.fail("server %d: size of snapshot %d: %v", p.srv.id, index, err)
	}
	return size
}

// Restore loads a snapshot beside the running node, and reports it later.
func (h host) Restore(index uint64) {
	p := h.p
	p.sim.stats.Installs++
	p.restoring = true
	p.sim.log(p.srv.id, "restores the snapshot at %d", index, 0, 0)
	p.background(p.sim.diskRand.about(20*millisecond), func() {
		state, err := p.load(index)
		if err != nil {
			p.sim.fail("server %d: load snapshot %d: %v", p.srv.id, index, err)
		}
		size := p.snapshotSize(index)
		p.at(p.sim.diskRand.about(20*millisecond), func() {
			p.restoring = false
			p.node.Restored(index, state, size)
		})
	})
}

// load reads a snapshot file into the state machine.
func (p *process) load(index uint64) (*node.State, error) {
	r, err := p.log.OpenSnapshot(index)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return node.Load(r, p.audit)
}

// Acked takes a chunk back; its memory is used for something else at once.
func (h host) Acked(c *node.Chunk) {
	h.p.pending -= len(c.Waiters)
	h.p.chunks--
	for i := range c.Data {
		c.Data[i] = 0xdd
	}
	clear(c.Waiters)
}

func (h host) MembersChanged(m []peer.Member) {
	for i := 1; i < len(m); i++ {
		if m[i-1].RaftID >= m[i].RaftID {
			h.p.sim.fail("server %d: members are not in order: %v", h.p.srv.id, m)
		}
	}
	index, _ := h.p.node.Applied()
	h.p.sim.ghost.configuration(index, h.p.node.ConfState())
}

// Diverged is the node's own discovery of what the ghost must have seen before.
func (h host) Diverged(err *node.DivergedError) { h.p.sim.fail("server %d: %v", h.p.srv.id, err) }

// SendSnapshot streams a file in pieces; receiver and sender may die, and the answer may be lost.
func (h host) SendSnapshot(m *pb.Message) {
	p := h.p
	index, to := m.GetSnapshot().GetMetadata().GetIndex(), m.GetTo()
	t := &transfer{from: p, to: to, index: index, term: m.GetSnapshot().GetMetadata().GetTerm()}
	t.frame = peer.AppendMessage(nil, &peer.Message{Kind: peer.KindRaft, From: p.srv.raftID, To: to, Raft: m})
	p.sim.log(p.srv.id, "sends the snapshot at %d to %x", index, to, 0)
	p.background(p.sim.netDelay(), t.begin)
}

// transfer is a snapshot on its way.
type transfer struct {
	from        *process
	dest        *process
	to          uint64
	index, term uint64
	frame       []byte // the MsgSnap
	data        []byte
	w           *raftlog.RawSnapshotWriter
	ended       bool
}

func (t *transfer) begin() {
	p := t.from
	f, err := p.log.OpenSnapshotRaw(t.index)
	if errors.Is(err, fs.ErrNotExist) {
		t.end(false) // newer ones came meanwhile
		return
	}
	if err != nil {
		p.sim.fail("server %d: open snapshot %d to send it: %v", p.srv.id, t.index, err)
	}
	defer f.Close()
	size, err := f.Size()
	t.data = make([]byte, size)
	if err == nil {
		_, err = f.ReadAt(t.data, 0)
	}
	if err != nil {
		p.sim.fail("server %d: read snapshot %d to send it: %v", p.srv.id, t.index, err)
	}
	v := p.sim.servers[node.ServerOf(t.to)-1]
	if v.proc == nil || v.raftID != t.to || v.proc.node == nil || p.sim.cut(p.srv, v) || p.sim.cut(v, p.srv) {
		t.end(false)
		return
	}
	t.dest = v.proc
	t.dest.background(p.sim.netDelay(), t.receive)
	p.sim.after(5*second, func() { t.end(false) }) // of silence: the sender gives up
}

// receive writes the file at its destination in two pieces.
func (t *transfer) receive() {
	q := t.dest
	var err error
	if t.w, err = q.log.ReceiveSnapshot(t.index, t.term); !q.ioDone("receive a snapshot", err) {
		return
	}
	half := int(q.sim.netRand.between(0, int64(len(t.data))))
	if _, err = t.w.Write(t.data[:half]); !q.ioDone("write a received snapshot", err) {
		return
	}
	q.background(q.sim.netDelay(), func() { t.finish(t.data[half:]) })
}

func (t *transfer) finish(rest []byte) {
	q, s := t.dest, t.from.sim
	if t.ended || s.cut(t.from.srv, q.srv) || t.from.dead || !s.calm && s.netRand.chance(0.1) {
		if err := t.w.Abort(); err != nil && !errors.Is(err, vfs.ErrPowerOff) {
			s.fail("abort a received snapshot: %v", err)
		}
		t.end(false)
		return
	}
	_, err := t.w.Write(rest)
	if err == nil {
		err = t.w.Commit()
	}
	if !q.ioDone("store a received snapshot", err) {
		return
	}
	q.at(10, func() {
		m, err := peer.DecodeMessage(bytes.Clone(t.frame))
		if err != nil {
			s.fail("the message of a snapshot does not decode: %v", err)
		}
		q.node.SnapshotReceived(m.Raft)
	})
	t.end(s.calm || !s.netRand.chance(0.1)) // an answer that is lost counts as a failure
}

func (t *transfer) end(ok bool) {
	if t.ended {
		return
	}
	t.ended = true
	p := t.from
	p.at(p.sim.netDelay(), func() { p.node.SnapshotSent(t.to, t.index, ok) })
}
