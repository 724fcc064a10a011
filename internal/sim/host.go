package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
	"gopherwood/internal/planted"
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
	p.background(p.srv.diskRand.between(1, 50), p.write)
}

// background schedules something that another goroutine of the process does: no Flush follows.
func (p *process) background(us int64, do func()) {
	p.sim.after(us, func() {
		switch {
		case p.dead:
		case p.paused:
			p.held = append(p.held, func() { p.background(0, do) })
		default:
			p.guarded(do)
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
	p.writeBatch(batch)
}

// writeBatch tries until there is space, as the driver does.
func (p *process) writeBatch(batch []*raftlog.Record) {
	err := p.writer.Write(batch)
	if p.noSpace = errors.Is(err, raftlog.ErrNoSpace) && p.disk.full; p.noSpace {
		p.sim.stats.NoSpace++
		p.background(noSpaceRetry, func() { p.writeBatch(batch) })
		return
	}
	p.wrote(batch) // it may be there even if not, in whole or in part
	if !p.ioDone("write the log", err) {
		return
	}
	p.noteDurable()
	early := planted.OwnSyncNotAwaited.On() && p.lead.Mine
	if early {
		p.report(batch)
	}
	delay := p.srv.syncDelay()
	if until := p.stalled - p.sim.now; until > delay {
		delay = until
	}
	p.background(delay, func() { p.sync(batch, early) })
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

func (p *process) sync(batch []*raftlog.Record, told bool) {
	if err := p.writer.Sync(); !p.ioDone("sync the log", err) {
		return
	}
	p.noteDurable()
	p.writing = false
	p.wakeWriter()
	if !told {
		p.report(batch)
	}
}

// report tells the node of what is durable.
func (p *process) report(batch []*raftlog.Record) {
	p.reportAt = max(p.reportAt, p.sim.now+p.srv.diskRand.between(1, 100)) // one report does not overtake another
	p.at(p.reportAt-p.sim.now, func() {
		for _, r := range batch {
			p.appends--
			p.node.Persisted(r)
		}
	})
}

// wrote takes note of a batch that was written, or may have been.
func (p *process) wrote(batch []*raftlog.Record) {
	p.srv.mirror.batches = append(p.srv.mirror.batches, batch)
	p.writes++
}

// noteDurable brings the mirror up to date: what was written is durable once no log file wants a sync.
func (p *process) noteDurable() {
	if p.disk.clean() {
		p.srv.mirror.synced()
		p.durable = p.writes
	}
}

// ioDone says whether a disk operation was carried out. A cut of the power ends the process after the event, and an error that the disk gave ends it
// at once; anything else is a failure.
func (p *process) ioDone(what string, err error) bool {
	var corrupt *raftlog.CorruptError
	switch {
	case err == nil:
		return true
	case errors.Is(err, vfs.ErrPowerOff):
	case p.disk.troubled && errors.Is(err, errDisk), p.srv.rotten && errors.As(err, &corrupt):
		p.crash(fmt.Sprintf("%s: %v", what, err))
	default:
		p.sim.fail("server %d: %s: %v", p.srv.id, what, err)
	}
	return false
}

// tidy is the log's background goroutine and its timer.
func (p *process) tidy() {
	if p.log.NeedsPrepare() {
		if err := p.log.Prepare(); !p.wantsSpace(err) && !p.ioDone("prepare a segment", err) {
			return
		}
	}
	if !p.ioDone("write the watermark", p.log.Watermark()) {
		return
	}
	p.background(p.srv.diskRand.between(50*millisecond, 150*millisecond), p.tidy)
}

// wantsSpace says whether something failed because the simulator has filled the disk.
func (p *process) wantsSpace(err error) bool {
	if p.disk.full && errors.Is(err, raftlog.ErrNoSpace) {
		p.sim.stats.NoSpace++
		return true
	}
	return false
}

// TakeSnapshot writes the file in two steps, some time after the view was made.
func (h host) TakeSnapshot(s *node.Snapshot) {
	p := h.p
	p.sim.log(p.srv.id, "takes a snapshot at %d", s.Meta.GetIndex(), 0, 0)
	p.background(p.srv.diskRand.about(20*millisecond), func() {
		w, err := p.log.CreateSnapshot(s.Meta)
		if err == nil {
			err = s.Write(w)
		}
		if p.wantsSpace(err) || p.disk.troubled && errors.Is(err, errDisk) {
			p.snapshotFailed(s, w, err)
			return
		}
		if !p.ioDone("write a snapshot", err) {
			return
		}
		p.background(p.srv.diskRand.about(30*millisecond), func() {
			err := w.Commit()
			if p.wantsSpace(err) || p.disk.troubled && errors.Is(err, errDisk) {
				p.snapshotFailed(s, w, err)
				return
			}
			if p.ioDone("commit a snapshot", err) {
				p.at(10, func() { p.snapshotTaken(s, p.snapshotSize(s.Meta.GetIndex()), nil) })
			}
		})
	})
}

// snapshotFailed gives up a snapshot for which there is no space, or that cannot be read back.
func (p *process) snapshotFailed(s *node.Snapshot, w *raftlog.SnapshotWriter, err error) {
	p.sim.stats.SnapshotFailures++
	if w == nil || p.ioDone("abort a snapshot", w.Abort()) {
		p.at(0, func() { p.snapshotTaken(s, 0, err) })
	}
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
	p.sim.log(p.srv.id, lineRestores, index, 0, 0)
	p.background(p.srv.diskRand.about(20*millisecond), func() {
		state, err := p.load(index)
		if !p.ioDone("load a snapshot", err) {
			return
		}
		size := p.snapshotSize(index)
		p.at(p.srv.diskRand.about(20*millisecond), func() {
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
	p.background(p.srv.netDelay(), t.begin)
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
	if errors.Is(err, fs.ErrNotExist) || p.disk.troubled && errors.Is(err, errDisk) {
		t.end(false) // newer ones came meanwhile, or it can't be read
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
	if p.disk.troubled && errors.Is(err, errDisk) {
		t.end(false)
		return
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
	t.dest.background(p.srv.netDelay(), t.receive)
	p.sim.after(5*second, func() { t.end(false) }) // of silence: the sender gives up
}

// receive writes the file at its destination in two pieces.
func (t *transfer) receive() {
	q := t.dest
	var err error
	if t.w, err = q.log.ReceiveSnapshot(t.index, t.term); !t.wrote("receive a snapshot", err) {
		return
	}
	half := int(q.srv.netRand.between(0, int64(len(t.data))))
	if _, err = t.w.Write(t.data[:half]); !t.wrote("write a received snapshot", err) {
		return
	}
	q.background(q.srv.netDelay(), func() { t.finish(t.data[half:]) })
}

func (t *transfer) finish(rest []byte) {
	q, s := t.dest, t.from.sim
	if t.ended || s.cut(t.from.srv, q.srv) || t.from.dead || !s.calm && q.srv.netRand.chance(0.1) {
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
	if !t.wrote("store a received snapshot", err) {
		return
	}
	q.at(10, func() {
		m, err := peer.DecodeMessage(bytes.Clone(t.frame))
		if err != nil {
			s.fail("the message of a snapshot does not decode: %v", err)
		}
		q.node.SnapshotReceived(m.Raft)
	})
	t.end(s.calm || !q.srv.netRand.chance(0.1)) // an answer that is lost counts as a failure
}

// wrote says whether a step of storing the file was carried out. Where there is no space for it, or it is not what its sender took it for, the transfer fails.
func (t *transfer) wrote(what string, err error) bool {
	q := t.dest
	var corrupt *raftlog.CorruptError
	if !q.wantsSpace(err) && !(errors.As(err, &corrupt) && t.from.srv.rotten) && !(q.disk.troubled && errors.Is(err, errDisk)) {
		return q.ioDone(what, err)
	}
	q.sim.stats.SnapshotFailures++
	q.sim.log(q.srv.id, "cannot take the snapshot at %d", t.index, 0, 0)
	if t.w != nil {
		if err := t.w.Abort(); err != nil && !errors.Is(err, vfs.ErrPowerOff) {
			q.sim.fail("server %d: abort a received snapshot: %v", q.srv.id, err)
		}
	}
	t.end(false)
	return false
}

func (t *transfer) end(ok bool) {
	if t.ended {
		return
	}
	t.ended = true
	p := t.from
	p.at(p.srv.netDelay(), func() { p.node.SnapshotSent(t.to, t.index, ok) })
}
