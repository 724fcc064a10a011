package load

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"gopherwood/e2e/internal/raw"
)

// MakeFolder makes a folder for clients to write in.
func MakeFolder(addr, folder string, timeoutMs int32) error {
	return with(addr, timeoutMs, func(c *raw.Conn) error {
		r, err := c.Call(raw.Create(nil, 1, folder, nil, raw.Persistent))
		if err == nil && r.Err != 0 {
			err = fmt.Errorf("load: create %s: error %d", folder, r.Err)
		}
		return err
	})
}

// with opens a session for one purpose and closes it.
func with(addr string, timeoutMs int32, do func(*raw.Conn) error) error {
	c, err := raw.Dial(addr, raw.Session{TimeoutMs: timeoutMs})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := do(c); err != nil {
		return err
	}
	_, err = c.Call(raw.CloseSession(nil, 1<<30))
	return err
}

// made is a node that some client's create left.
type made struct {
	k, sequence int
	name        string
}

// Verify reads the folder through a server, after a sync, and returns what is wrong with it: nothing, if every acknowledged write
// of the clients is there exactly once and in its client's order, every other at most once, and nothing else.
func Verify(addr, folder string, clients []*Client, timeoutMs int32) (wrong []string, err error) {
	err = with(addr, timeoutMs, func(conn *raw.Conn) error {
		names, err := Names(conn, folder)
		if err != nil {
			return err
		}
		there := make(map[int][]made)
		for _, name := range names {
			var id int
			var m made
			if _, err := fmt.Sscanf(name, "c%d-%d-%d", &id, &m.k, &m.sequence); err == nil {
				m.name = name
				there[id] = append(there[id], m)
			}
		}
		for _, c := range clients {
			wrong = append(wrong, c.creates(there[c.ID])...)
			more, err := c.sets(conn)
			if err != nil {
				return err
			}
			wrong = append(wrong, more...)
		}
		return nil
	})
	return wrong, err
}

// Names returns the names in a folder, after a sync.
func Names(conn *raw.Conn, folder string) ([]string, error) {
	if r, err := conn.Call(raw.Sync(nil, 1, folder)); err != nil || r.Err != 0 {
		return nil, fmt.Errorf("load: sync: error %d, %w", r.Err, err)
	}
	r, err := conn.Call(raw.Read(nil, 2, raw.OpGetChildren, folder))
	if err != nil || r.Err != 0 {
		return nil, fmt.Errorf("load: children of %s: error %d, %w", folder, r.Err, err)
	}
	return raw.Strings(r.Body)
}

// creates compares what is there of a client's creates with what it sent and what was acknowledged.
func (c *Client) creates(there []made) (wrong []string) {
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("client %d: ", c.ID)+fmt.Sprintf(format, args...))
	}
	slices.SortFunc(there, func(a, b made) int { return cmp.Compare(a.sequence, b.sequence) })
	if len(there) < c.CreatesAcked || len(there) > c.CreatesSent {
		say("%d creates are there, %d were acknowledged, %d sent", len(there), c.CreatesAcked, c.CreatesSent)
	}
	for i, m := range there {
		if m.k != i {
			say("create %d is at place %d of those applied: lost, doubled or out of order (%s)", m.k, i, m.name)
			break
		}
		if i < len(c.Paths) && path.Base(c.Paths[i]) != m.name {
			say("create %d was acknowledged as %s, but is there as %s", i, c.Paths[i], m.name)
			break
		}
	}
	return wrong
}

// sets compares the version of a client's node with what it sent and what was acknowledged.
func (c *Client) sets(conn *raw.Conn) (wrong []string, err error) {
	r, err := conn.Call(raw.Read(nil, 3, raw.OpExists, c.Node()))
	if err != nil {
		return nil, err
	}
	if r.Err != 0 {
		return []string{fmt.Sprintf("client %d: its node: error %d", c.ID, r.Err)}, nil
	}
	stat, err := raw.ParseStat(r.Body)
	if err != nil {
		return nil, err
	}
	if v := int(stat.Version); v < c.SetsAcked || v > c.SetsSent {
		wrong = append(wrong, fmt.Sprintf("client %d: version %d, %d sets were acknowledged, %d sent", c.ID, v, c.SetsAcked, c.SetsSent))
	}
	return wrong, nil
}
