package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"gopherwood/internal/tree"
	"gopherwood/replica"
	"gopherwood/zk"
)

// The admin port's restore: a snapshot that somebody sends becomes the state of the whole ensemble. It is read to its end and tried before anything is
// proposed; then its bytes go through the log in pieces, and one more command makes them the state everywhere (internal/tree/stage.go).
// ZooKeeper's own restore replaces the state of one server, and has to be run on every server in turn with nobody writing.

// adminRestore answers restore with what ZooKeeper does: the last zxid, or a status and why nothing was changed.
func (s *Server) adminRestore(c *adminCall) {
	switch {
	case s.cfg.NoAdminRestore:
		c.fail(http.StatusServiceUnavailable, "the command is switched off by admin.restore.enabled")
		return
	case c.request.ContentLength == 0:
		c.fail(http.StatusBadRequest, "there is no snapshot in the request; send one that the snapshot command has given")
		return
	case !s.restoreGate.enter(s.cfg.AdminInterval):
		s.stats.restoreLimited.Add(1)
		c.fail(http.StatusTooManyRequests, "one restore per "+s.cfg.AdminInterval.String()+" (admin.rateLimiterIntervalInMS), one at a time")
		return
	}
	defer s.restoreGate.leave()
	began := time.Now()
	zxid, err := s.restoreFrom(c)
	if err != nil {
		s.stats.restoreErrors.Add(1)
		status := http.StatusInternalServerError
		if e, ok := errors.AsType[*restoreError](err); ok {
			status = e.status
		}
		s.log.Warn("a restore over the admin port has failed", "client", c.request.RemoteAddr, "error", err)
		c.fail(status, err.Error())
		return
	}
	s.stats.restores.add(1, time.Since(began))
	s.log.Warn("the state of the ensemble was replaced over the admin port", "client", c.request.RemoteAddr, "zxid", hex(zxid))
	c.put("last_zxid", hex(zxid))
}

// restoreError is why a restore failed, with a status of its own.
type restoreError struct {
	status int
	text   string
}

// Error implements error.
func (e *restoreError) Error() string { return e.text }

// restoreFrom is restore up to its answer.
func (s *Server) restoreFrom(c *adminCall) (zxid int64, err error) {
	f, err := os.CreateTemp("", "gopherwood-restore-*")
	if err != nil {
		return 0, fmt.Errorf("no room for the snapshot: %w; nothing was changed", err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // it goes with this process, however that ends
		return 0, fmt.Errorf("no room for the snapshot: %w; nothing was changed", err)
	}
	size, err := c.receive(f)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the snapshot did not come to its end: %w; nothing was changed", err)
	case size > tree.MaxStagedBytes:
		return 0, &restoreError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the snapshot has more than %d bytes; nothing was changed", int64(tree.MaxStagedBytes))}
	}
	if err := s.trySnapshot(f); err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return s.stageAndRestore(c.request.Context(), f, size)
}

// trySnapshot says what is wrong with a snapshot, for whoever has sent it.
func (s *Server) trySnapshot(f io.ReadSeeker) error {
	magic := make([]byte, 4)
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, magic); err == nil && string(magic) == "ZKSN" {
		return errors.New("this is a snapshot of ZooKeeper's, which a running server does not take over; nothing was changed")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := tree.CheckSnapshot(treeOptions, f); err != nil {
		return fmt.Errorf("this is not a whole snapshot of Gopherwood's: %w; nothing was changed", err)
	}
	return nil
}

// receive writes the request's body to w, up to a byte more than may be staged, for as long as it comes. The request has no other deadline from then on.
func (c *adminCall) receive(w io.Writer) (size int64, err error) {
	rc := http.NewResponseController(c.writer)
	// Errors are those of a writer that has no deadlines, as in tests.
	_ = rc.SetWriteDeadline(time.Time{})
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	return io.Copy(w, io.LimitReader(readerFunc(func(p []byte) (int, error) {
		_ = rc.SetReadDeadline(time.Now().Add(restoreStall))
		return c.request.Body.Read(p)
	}), tree.MaxStagedBytes+1))
}

// readerFunc is an io.Reader.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// stageAndRestore sends size bytes through the log and makes them the state.
func (s *Server) stageAndRestore(ctx context.Context, r io.Reader, size int64) (zxid int64, err error) {
	st := stager{s: s, id: rand.Uint64() | 1, done: make(chan stagerDone, stagesInFlight)}
	defer func() {
		if err != nil { // what is staged would be given up in time, too
			_ = s.rep.TryPropose((&tree.Command{Kind: tree.KindUnstage, Stage: st.id}).Append(nil), nil)
		}
	}()
	buf := make([]byte, stageBytes)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(r, buf[:min(size-at, stageBytes)])
		if err == nil {
			err = st.propose(ctx, &tree.Command{Kind: tree.KindStage, Stage: st.id, Offset: uint64(at), Data: buf[:n]})
		}
		if err != nil {
			return 0, fmt.Errorf("%w; nothing was changed", err)
		}
		at += int64(n)
	}
	for st.inFlight > 0 {
		if err := st.wait(ctx); err != nil {
			return 0, fmt.Errorf("%w; nothing was changed", err)
		}
	}
	if err := st.propose(ctx, &tree.Command{Kind: tree.KindRestore, Stage: st.id, Offset: uint64(size)}); err != nil {
		return 0, fmt.Errorf("%w; nothing was changed", err)
	}
	if err := st.wait(ctx); errors.Is(err, errStaging) {
		return 0, fmt.Errorf("%w; nothing was changed", err)
	} else if err != nil {
		return 0, &restoreError{http.StatusServiceUnavailable, err.Error() + "; whether the state was replaced is not known: look at it before you try again"}
	}
	return st.zxid, nil
}

// stager proposes the commands of one restore, a few at a time.
type stager struct {
	s        *Server
	id       uint64
	inFlight int
	done     chan stagerDone // has room for all in flight
	zxid     int64           // of the last one
}

// stagerDone is an outcome.
type stagerDone struct {
	code zk.Code
	zxid int64
	err  error
}

// Done implements replica.Waiter.
func (st *stager) Done(result any, err error) {
	d := stagerDone{err: err}
	if err == nil {
		r := result.(*tree.Result) // lasts until the next Apply
		d.code, d.zxid = r.Code, r.Zxid
	}
	st.done <- d
}

var _ replica.Waiter = (*stager)(nil)

// errStaging is a command of a restore that was refused.
var errStaging = errors.New("the restore was refused")

// propose waits until there is room for one more, and proposes it. The server's other commands have the same room, so it does not wait inside Propose,
// which knows no end.
func (st *stager) propose(ctx context.Context, cmd *tree.Command) error {
	for st.inFlight == stagesInFlight {
		if err := st.wait(ctx); err != nil {
			return err
		}
	}
	b := cmd.Append(nil)
	for began := time.Now(); ; {
		err := st.s.rep.TryPropose(b, st)
		if err == nil {
			st.inFlight++
			return nil
		}
		if !errors.Is(err, replica.ErrBusy) {
			return err
		}
		if time.Since(began) > restoreStall {
			return errRestoreStalled
		}
		select {
		case <-ctx.Done():
			return errRestoreLeft
		case <-time.After(stageRetry):
		}
	}
}

var (
	errRestoreStalled = &restoreError{http.StatusServiceUnavailable, "the ensemble takes no writes: no majority, or no leader"}
	errRestoreLeft    = &restoreError{http.StatusServiceUnavailable, "the client has gone"}
)

// wait takes one outcome.
func (st *stager) wait(ctx context.Context) error {
	t := time.NewTimer(restoreStall)
	defer t.Stop()
	select {
	case d := <-st.done:
		st.inFlight--
		st.zxid = d.zxid
		switch {
		case d.err != nil:
			return d.err
		case d.code == zk.ErrMarshalling:
			return fmt.Errorf("%w: the members find no snapshot in it", errStaging)
		case d.code != zk.OK:
			return fmt.Errorf("%w: another restore has begun meanwhile", errStaging)
		}
		return nil
	case <-t.C:
		return errRestoreStalled
	case <-ctx.Done():
		return errRestoreLeft
	}
}

// replaced is told that a restore has made another state of the tree. No watch here has seen what it brought, so all clients have to come back; those whose
// session is no more learn it then.
func (s *Server) replaced() {
	s.mu.Lock()
	clear(s.locals) // sessions of another history
	s.mu.Unlock()
	if s.lead.mine() {
		s.lead.live.Lead(s.lead.nowMs, s.lead.sessions(s.tree))
	}
	if n := s.killAll("the state was replaced by a restore"); n > 0 {
		s.log.Warn("the state was replaced by a restore, so the clients have to reconnect", "clients", n)
	}
}
