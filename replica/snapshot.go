package replica

import (
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"gopherwood/internal/node"
	"gopherwood/internal/peer"
)

// TakeSnapshot writes the snapshot beside the running loop, and slowly: it must not cost more than a part of a core.
func (h *host) TakeSnapshot(s *node.Snapshot) {
	r := (*Replica)(h)
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		start := time.Now()
		bytes, err := r.writeSnapshot(s)
		if err == nil {
			r.log.Info("snapshot written", "index", s.Meta.GetIndex(), "bytes", bytes, "took", time.Since(start).Round(time.Millisecond))
		}
		r.call(func() { r.node.SnapshotTaken(s, bytes, err) }, nil)
	}()
}

func (r *Replica) writeSnapshot(s *node.Snapshot) (int64, error) {
	w, err := r.raftlog.CreateSnapshot(s.Meta)
	if err != nil {
		return 0, err
	}
	p := &pacedWriter{w: w, r: r, began: time.Now()}
	if err := s.Write(p); err != nil {
		return 0, errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return 0, err
	}
	return p.written, nil
}

// pacedWriter rests after each step for a multiple of the time that the step took.
type pacedWriter struct {
	w       io.Writer
	r       *Replica
	began   time.Time
	step    int
	written int64
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.written += int64(n)
	if p.step += n; p.step < snapshotStep || err != nil {
		return n, err
	}
	p.step = 0
	select {
	case <-time.After(min(snapshotSleep*time.Since(p.began), 100*time.Millisecond)):
	case <-p.r.ctx.Done():
		return n, ErrClosed
	}
	p.began = time.Now()
	return n, nil
}

// SendSnapshot streams a snapshot file to a member.
func (h *host) SendSnapshot(m *pb.Message) {
	r := (*Replica)(h)
	to, index := m.GetTo(), m.GetSnapshot().GetMetadata().GetIndex()
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		err := r.streamSnapshot(m)
		if err != nil {
			r.log.Warn("a snapshot did not reach a member; it will be tried again", "member", node.ServerOf(to), "index", index, "error", err)
		}
		r.call(func() { r.node.SnapshotSent(to, index, err == nil) }, nil)
	}()
}

func (r *Replica) streamSnapshot(m *pb.Message) error {
	meta := m.GetSnapshot().GetMetadata()
	f, err := r.raftlog.OpenSnapshotRaw(meta.GetIndex())
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	return r.transport.SendSnapshot(r.ctx, node.ServerOf(m.GetTo()), peer.SnapshotHeader{
		From: m.GetFrom(), To: m.GetTo(), Index: meta.GetIndex(), Term: meta.GetTerm(), Size: size, Raft: m,
	}, io.NewSectionReader(f, 0, size), size, snapshotBytesPerSecond)
}

// Snapshot stores a snapshot file that another member sends, and then lets raft know.
func (p *peerHandler) Snapshot(h peer.SnapshotHeader, src io.Reader) error {
	r := (*Replica)(p)
	if h.To != r.identity.RaftID || h.Raft == nil || h.Raft.GetSnapshot().GetMetadata().GetIndex() != h.Index {
		return errors.New("the snapshot is not for this incarnation of the server")
	}
	ready := make(chan bool, 1)
	r.call(func() { ready <- r.node != nil }, func() { ready <- false })
	if !<-ready {
		return errors.New("this server is not ready for a snapshot")
	}
	w, err := r.raftlog.ReceiveSnapshot(h.Index, h.Term)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, src); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return err
	}
	r.log.Info("snapshot received", "index", h.Index, "bytes", h.Size, "from", node.ServerOf(h.From))
	r.call(func() { r.node.SnapshotReceived(h.Raft) }, nil)
	return nil
}

// Restore loads a snapshot into the state machine beside the running loop, which applies nothing meanwhile.
func (h *host) Restore(index uint64) {
	r := (*Replica)(h)
	r.tasks.Add(1)
	go func() {
		defer r.tasks.Done()
		start := time.Now()
		state, bytes, err := r.loadSnapshot(index)
		if err != nil {
			r.fatal(err)
			return
		}
		r.log.Info("snapshot loaded", "index", index, "took", time.Since(start).Round(time.Millisecond))
		r.call(func() { r.node.Restored(index, state, bytes) }, nil)
	}()
}

// loadSnapshot reads a snapshot file into the state machine and returns the replica's part and the payload's size.
func (r *Replica) loadSnapshot(index uint64) (*node.State, int64, error) {
	f, err := r.raftlog.OpenSnapshot(index)
	if err != nil {
		return nil, 0, fmt.Errorf("replica: open snapshot %d: %w", index, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, 0, fmt.Errorf("replica: size of snapshot %d: %w", index, err)
	}
	c := &countingReader{r: f}
	if Phase(r.progress.phase.Load()) == Forming { // the start's
		r.progress.begin(Loading, 0, size)
		c.r = r.progress.read(f, f.Offset)
	}
	state, err := node.Load(c, r.machine)
	if err == nil {
		_, err = io.Copy(io.Discard, c) // the end mark carries the check of the whole
	}
	if err != nil {
		return nil, 0, fmt.Errorf("replica: load snapshot %d: %w", index, err)
	}
	return state, c.n, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
