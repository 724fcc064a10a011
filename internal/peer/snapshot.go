package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// A snapshot connection, after the handshake: a frame with the header, frames with at most snapshotChunkBytes of the file
// each until there are Size of them, and in the other direction one frame with the verdict.

// ErrSnapshotsBusy says that as many snapshots as allowed are being sent.
var ErrSnapshotsBusy = errors.New("peer: too many snapshots are being sent")

// maxSnapshotHeaderBytes bounds a header: four lists of maxMembers ids and little else.
const maxSnapshotHeaderBytes = 64 << 10

// SendSnapshot sends size bytes of src on a connection of their own, at most bytesPerSecond (0: no limit), and returns nil
// when the receiver has them stored durably. h.Size is set from size. It blocks; ctx and Close end it. A *RefusedError or
// *SnapshotError in the error's chain is the receiver's word.
func (t *Transport) SendSnapshot(ctx context.Context, to uint16, h SnapshotHeader, src io.Reader, size, bytesPerSecond int64) error {
	h.Size = size
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	t.wg.Add(1)
	t.mu.Unlock()
	defer t.wg.Done()
	select {
	case t.sending <- struct{}{}:
		defer func() { <-t.sending }()
	default:
		return ErrSnapshotsBusy
	}
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	err := t.dialAndSend(both, to, h, src, bytesPerSecond)
	switch {
	case err == nil:
		return nil
	case t.ctx.Err() != nil:
		err = ErrClosed
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return fmt.Errorf("peer: send snapshot %d to server %d: %w", h.Index, to, err)
}

func (t *Transport) dialAndSend(ctx context.Context, to uint16, h SnapshotHeader, src io.Reader, bytesPerSecond int64) error {
	p := (*t.peers.Load())[to]
	if p == nil {
		return errors.New("no such peer")
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addr := p.address()
	dialled, err := t.cfg.Dial(dialCtx, addr)
	if err != nil {
		return err
	}
	defer dialled.Close()
	defer context.AfterFunc(ctx, func() { dialled.Close() })()
	tune(dialled)
	conn, err := t.secure(dialled, addr)
	if err != nil {
		return err
	}
	greeting := hello{purpose: purposeSnapshot, from: t.cfg.ServerID, to: to, identity: *t.own.Load()}
	if err := greet(conn, greeting, t.cfg.HandshakeTimeout); err != nil {
		return err
	}
	return t.sendSnapshot(ctx, conn, h, src, bytesPerSecond)
}

// SnapshotError is a receiver's reason for not storing a snapshot.
type SnapshotError struct {
	Reason string
}

// Error is the reason in words.
func (e *SnapshotError) Error() string { return "the receiver did not store it: " + e.Reason }

// verdict is the receiver's answer, on its way. err is valid when done is closed.
type verdict struct {
	done chan struct{}
	err  error // nil: stored
}

// sendSnapshot sends the file and waits for the verdict, which may come before the file's end.
func (t *Transport) sendSnapshot(ctx context.Context, conn net.Conn, h SnapshotHeader, src io.Reader, bytesPerSecond int64) error {
	v := &verdict{done: make(chan struct{})}
	go func() {
		defer close(v.done)
		v.err = readVerdict(conn)
	}()
	defer func() {
		conn.Close()
		<-v.done
	}()
	sent := t.sendFile(ctx, conn, h, src, bytesPerSecond, v.done)
	if errors.Is(sent, errSource) {
		return sent
	}
	patience := t.cfg.SnapshotStore
	if sent != nil {
		patience = lingerTimeout // if the receiver ended it, its reason may be here already
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // fails on a closed connection, as the read then does
	<-v.done
	var told *SnapshotError
	if v.err == nil || errors.As(v.err, &told) || sent == nil {
		return v.err
	}
	return sent
}

// errSource marks errors of the reader that a snapshot comes from.
var errSource = errors.New("read the snapshot")

// sendFile sends header and chunks, or stops when the verdict is there.
func (t *Transport) sendFile(ctx context.Context, conn net.Conn, h SnapshotHeader, src io.Reader, bytesPerSecond int64, done <-chan struct{}) error {
	frame := appendSnapshotHeader(make([]byte, frameHeaderBytes), &h)
	sealFrame(frame)
	if err := t.writeFrame(conn, frame); err != nil {
		return err
	}
	chunk := int64(snapshotChunkBytes)
	if bytesPerSecond > 0 {
		chunk = max(min(chunk, bytesPerSecond/8), 1) // eight steps a second at least: a smooth flow, and no idle timeout
	}
	frame = make([]byte, frameHeaderBytes+chunk)
	next := time.Now() // when the next chunk may leave; time that was lost is not made up for
	for sent := int64(0); sent < h.Size; {
		n := min(chunk, h.Size-sent)
		part := frame[:frameHeaderBytes+n]
		if _, err := io.ReadFull(src, part[frameHeaderBytes:]); err != nil {
			return fmt.Errorf("%w after %d bytes of %d: %w", errSource, sent, h.Size, err)
		}
		sealFrame(part)
		if err := t.writeFrame(conn, part); err != nil {
			return err
		}
		sent += n
		now := time.Now()
		if next.Before(now) {
			next = now
		}
		if bytesPerSecond > 0 {
			next = next.Add(time.Duration(float64(n) / float64(bytesPerSecond) * float64(time.Second)))
		}
		if stop, err := wait(ctx, done, next.Sub(now)); stop {
			return err
		}
	}
	return nil
}

// wait passes d, or less if the verdict is there or ctx ends, and says whether to stop.
func wait(ctx context.Context, done <-chan struct{}, d time.Duration) (stop bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	case <-timer.C:
		return false, nil
	}
}

func (t *Transport) writeFrame(conn net.Conn, frame []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(t.cfg.SnapshotIdle)); err != nil {
		return err
	}
	_, err := conn.Write(frame)
	return err
}

// serveSnapshot receives a file and answers with the handler's verdict. An error is one of the handshake.
func (t *Transport) serveSnapshot(conn net.Conn, h hello) error {
	select {
	case t.storing <- struct{}{}:
		defer func() { <-t.storing }()
	default:
		return &RefusedError{Refusal: RefusedBusy, Reason: fmt.Sprintf("%d snapshots are arriving already", t.cfg.MaxSnapshots)}
	}
	if _, err := conn.Write(appendAnswer(nil)); err != nil {
		return err
	}
	body, err := readFrame(conn, nil, maxSnapshotHeaderBytes)
	if err != nil {
		return fmt.Errorf("peer: snapshot header: %w", err)
	}
	header, err := decodeSnapshotHeader(body)
	if err != nil {
		return err
	}
	log := t.log.With("from", h.from, "index", header.Index, "term", header.Term, "bytes", header.Size)
	log.Info("peer: snapshot arriving")
	r := &snapshotReader{conn: conn, idle: t.cfg.SnapshotIdle, remaining: header.Size, buf: make([]byte, 0, snapshotChunkBytes)}
	err = t.cfg.Handler.Snapshot(header, r)
	if err != nil {
		log.Warn("peer: snapshot not stored", "err", err)
	} else {
		log.Info("peer: snapshot stored")
	}
	_ = conn.SetWriteDeadline(time.Now().Add(t.cfg.HandshakeTimeout))
	if _, err := conn.Write(appendVerdict(err)); err != nil {
		log.Warn("peer: snapshot's sender is gone", "err", err)
	}
	linger(conn)
	return nil
}

// snapshotReader yields a file's bytes, a checked chunk at a time.
type snapshotReader struct {
	conn      net.Conn
	idle      time.Duration
	remaining int64  // bytes of the file that have not arrived
	buf       []byte // of a chunk
	unread    []byte // the end of buf
	err       error  // sticks
}

// Read implements io.Reader. A connection that ends early gives io.ErrUnexpectedEOF.
func (r *snapshotReader) Read(b []byte) (int, error) {
	if len(r.unread) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.unread) == 0 && r.err != nil {
		return 0, r.err
	}
	n := copy(b, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

func (r *snapshotReader) fill() {
	if r.remaining == 0 {
		r.err = io.EOF
		return
	}
	if r.err = r.conn.SetDeadline(time.Now().Add(r.idle)); r.err != nil {
		return
	}
	most := min(r.remaining, snapshotChunkBytes)
	body, err := readFrame(r.conn, r.buf, int(most))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		r.err = fmt.Errorf("peer: snapshot with %d bytes to come: %w", r.remaining, err)
		return
	}
	r.unread = body
	r.remaining -= int64(len(body))
}

func appendSnapshotHeader(b []byte, h *SnapshotHeader) []byte {
	b = binary.LittleEndian.AppendUint64(b, h.From)
	b = binary.LittleEndian.AppendUint64(b, h.To)
	b = binary.AppendUvarint(b, h.Index)
	b = binary.AppendUvarint(b, h.Term)
	b = binary.AppendUvarint(b, uint64(h.Size))
	b = appendBool(b, h.Raft != nil)
	if h.Raft != nil {
		b = appendRaft(b, &Message{From: h.From, To: h.To, Raft: h.Raft})
	}
	return b
}

func decodeSnapshotHeader(b []byte) (h SnapshotHeader, err error) {
	d := decoder{b: b}
	h.From, h.To = d.uint64(), d.uint64()
	h.Index, h.Term = d.uvarint(), d.uvarint()
	size := d.uvarint()
	if size > math.MaxInt64 {
		d.fail("snapshot of %d bytes", size)
	}
	h.Size = int64(size)
	if d.bool() {
		if m := decodeRaft(&d, h.From, h.To); m != nil {
			h.Raft = m.Raft
		}
	}
	return h, d.finish()
}

func appendVerdict(err error) []byte {
	frame := appendBool(make([]byte, frameHeaderBytes), err == nil)
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	frame = appendString(frame, reason[:min(len(reason), maxReasonBytes)])
	sealFrame(frame)
	return frame
}

func readVerdict(r io.Reader) error {
	body, err := readFrame(r, nil, maxReasonBytes+16)
	if err != nil {
		return fmt.Errorf("peer: no verdict from the receiver: %w", err)
	}
	d := decoder{b: body}
	ok, reason := d.bool(), d.string(maxReasonBytes)
	if err := d.finish(); err != nil {
		return err
	}
	if !ok {
		return &SnapshotError{Reason: reason}
	}
	return nil
}
