package oracle

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// SuperPassword makes a client of a server with SuperDigest a super user, who reads what a run has left.
const (
	SuperPassword = "super:pw"
	SuperDigest   = "super:0bX78nEegDzJM3ju0iLBEJdWzjg="
)

// top is the node that all runs' roots are below.
const top = "/oracle"

// Target is a server, or several of one ensemble. Any number of runs may use it at a time.
type Target struct {
	Addrs []string

	runs *atomic.Int64
}

// NewTarget is the target of these servers. They must know SuperDigest and let sessions have timeouts up to a minute.
func NewTarget(addrs ...string) (*Target, error) {
	t := &Target{Addrs: addrs, runs: new(atomic.Int64)}
	h, err := t.super(raw.Session{TimeoutMs: sessionMs})
	if err != nil {
		return nil, err
	}
	defer h.conn.Close()
	return t, h.create(top)
}

// helper is a super user's connection, of which a transcript shows nothing.
type helper struct {
	conn *raw.Conn
	xid  int32
}

func (t *Target) super(s raw.Session) (*helper, error) {
	conn, err := raw.Dial(t.Addrs[0], s)
	if err != nil {
		return nil, err
	}
	h := &helper{conn: conn}
	s2 := Step{Verb: "auth", Scheme: "digest", ID: SuperPassword}
	code, _, err := h.call(&s2)
	if err == nil && code != zk.OK {
		err = fmt.Errorf("oracle: the server does not know the super user: %w", code)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return h, nil
}

// call sends a step's request, its paths being the server's own, and waits for the reply.
func (h *helper) call(s *Step) (zk.Code, []byte, error) {
	h.xid++
	if err := h.conn.Net().SetDeadline(time.Now().Add(replyLimit)); err != nil {
		return 0, nil, err
	}
	r, err := h.conn.Call(s.request(h.xid, 0, same))
	if err != nil {
		return 0, nil, fmt.Errorf("oracle: %s %s: %w", s.Verb, s.Path, err)
	}
	return zk.Code(r.Err), r.Body, nil
}

func same(path string) string { return path }

func (h *helper) create(path string) error {
	code, _, err := h.call(&Step{Verb: "create", Path: path, Data: []byte{}, ACL: anyone})
	if err == nil && code != zk.OK && code != zk.ErrNodeExists {
		err = fmt.Errorf("oracle: create %s: %w", path, code)
	}
	return err
}

// sync makes the helper's server catch up with the target's others.
func (h *helper) sync(t *Target) error {
	if len(t.Addrs) == 1 {
		return nil
	}
	_, _, err := h.call(&Step{Verb: "sync", Path: "/"})
	return err
}

func (h *helper) exists(path string) (bool, error) {
	code, _, err := h.call(&Step{Verb: "exists", Path: path})
	if err == nil && code != zk.OK && code != zk.ErrNoNode {
		err = fmt.Errorf("oracle: exists %s: %w", path, code)
	}
	return code == zk.OK, err
}

// tree is every path at and below root, parents first.
func (h *helper) tree(root string) ([]string, error) {
	all := []string{root}
	for i := 0; i < len(all); i++ {
		code, body, err := h.call(&Step{Verb: "getChildren", Path: all[i]})
		if err != nil {
			return nil, err
		}
		if code == zk.ErrNoNode { // a script may delete even the root
			all = slices.Delete(all, i, i+1)
			i--
			continue
		}
		if code != zk.OK {
			return nil, fmt.Errorf("oracle: children of %s: %w", all[i], code)
		}
		d := wire.NewDecoder(body)
		var r wire.GetChildrenResponse
		r.Decode(&d)
		if d.Err() != nil {
			return nil, d.Err()
		}
		for _, name := range slices.Sorted(slices.Values(r.Children)) {
			all = append(all, zk.Join(all[i], name))
		}
	}
	return all, nil
}

// remove deletes paths, which tree has returned, in one multi.
func (h *helper) remove(paths []string) error {
	m := Step{Verb: "multi"}
	for i := len(paths) - 1; i >= 0; i-- {
		m.Members = append(m.Members, Step{Verb: "delete", Path: paths[i], Version: -1})
	}
	code, _, err := h.call(&m)
	if err == nil && code != zk.OK {
		err = errors.New("oracle: a run's nodes could not be deleted")
	}
	return err
}
