package client

import (
	"context"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// AnyVersion in place of a version matches any.
const AnyVersion int32 = -1

// op is a request with the way to read its answer.
type op[T any] struct {
	call   *call
	decode func(d *wire.Decoder) T
}

// run carries out one operation.
func run[T any](ctx context.Context, c *Client, o op[T]) (T, error) {
	var zero T
	if err := c.submit(ctx, o.call); err != nil {
		return zero, err
	}
	body, err := c.await(ctx, o.call)
	if err != nil {
		return zero, err
	}
	return o.read(body)
}

func (o op[T]) read(body []byte) (T, error) {
	d := wire.NewDecoder(body)
	v := o.decode(&d)
	if err := d.Err(); err != nil {
		var zero T
		return zero, o.call.fail(err, false)
	}
	return v, nil
}

// request builds the call of an operation on a path.
func (c *Client) request(code zk.OpCode, path string, body record, sizeHint int) *call {
	k := newCall(code, path, body, sizeHint)
	k.fullPath = c.full(path)
	return k
}

// badPath is the *Error for a path that no node can have, or nil. ZooKeeper's own client refuses these, too.
func badPath(code zk.OpCode, path string) error {
	if err := zk.ValidatePath(path); err != nil {
		return &Error{Op: opName(code), Path: path, Cause: err}
	}
	return nil
}

func nothing(*wire.Decoder) struct{} { return struct{}{} }

// withStat is an answer of a value and a Stat.
type withStat[T any] struct {
	value T
	stat  zk.Stat
}

// Get is a node's data and Stat. Data that was never set is nil, not empty.
func (c *Client) Get(ctx context.Context, path string) ([]byte, zk.Stat, error) {
	data, stat, _, err := c.get(ctx, path, nil)
	return data, stat, err
}

// GetW is Get, and watches the node's data and existence. There is a Watch only without an error.
func (c *Client) GetW(ctx context.Context, path string) ([]byte, zk.Stat, *Watch, error) {
	return c.get(ctx, path, c.newWatch(path, true))
}

func (c *Client) get(ctx context.Context, path string, w *Watch) ([]byte, zk.Stat, *Watch, error) {
	if err := badPath(zk.OpGetData, path); err != nil {
		return nil, zk.Stat{}, nil, err
	}
	r, err := run(ctx, c, c.getOp(path, w))
	if err != nil {
		return nil, zk.Stat{}, nil, err
	}
	return r.value, r.stat, w, nil
}

func (c *Client) getOp(path string, w *Watch) op[withStat[[]byte]] {
	k := c.request(zk.OpGetData, path, &wire.GetDataRequest{Path: c.full(path), Watch: w != nil}, len(c.chroot))
	k.again, k.watch = true, w
	return op[withStat[[]byte]]{k, func(d *wire.Decoder) withStat[[]byte] {
		var r wire.GetDataResponse
		r.Decode(d)
		return withStat[[]byte]{r.Data, r.Stat}
	}}
}

// Exists is a node's Stat, and whether there is one; a node that is missing is no error.
func (c *Client) Exists(ctx context.Context, path string) (zk.Stat, bool, error) {
	stat, ok, _, err := c.exists(ctx, path, nil)
	return stat, ok, err
}

// ExistsW is Exists, and watches the node: its data and end if it is there, its creation if it is not. There is a Watch only
// without an error.
func (c *Client) ExistsW(ctx context.Context, path string) (zk.Stat, bool, *Watch, error) {
	return c.exists(ctx, path, c.newWatch(path, true))
}

func (c *Client) exists(ctx context.Context, path string, w *Watch) (zk.Stat, bool, *Watch, error) {
	if err := badPath(zk.OpExists, path); err != nil {
		return zk.Stat{}, false, nil, err
	}
	stat, err := run(ctx, c, c.existsOp(path, w))
	if isCode(err, zk.ErrNoNode) {
		return zk.Stat{}, false, w, nil
	}
	if err != nil {
		return zk.Stat{}, false, nil, err
	}
	return stat, true, w, nil
}

func (c *Client) existsOp(path string, w *Watch) op[zk.Stat] {
	k := c.request(zk.OpExists, path, &wire.ExistsRequest{Path: c.full(path), Watch: w != nil}, len(c.chroot))
	k.again, k.watch = true, w
	return op[zk.Stat]{k, statOnly}
}

func statOnly(d *wire.Decoder) (stat zk.Stat) {
	d.Stat(&stat)
	return stat
}

// isCode says whether err is a server's answer with this code. It is cheaper than errors.Is, on a path where a miss is common.
func isCode(err error, code zk.Code) bool {
	e, ok := err.(*Error)
	return ok && e.Cause == error(code)
}

// Children is the names of a node's children, in no order, and the node's Stat.
func (c *Client) Children(ctx context.Context, path string) ([]string, zk.Stat, error) {
	names, stat, _, err := c.children(ctx, path, nil)
	return names, stat, err
}

// ChildrenW is Children, and watches the list of children and the node's end. There is a Watch only without an error.
func (c *Client) ChildrenW(ctx context.Context, path string) ([]string, zk.Stat, *Watch, error) {
	return c.children(ctx, path, c.newWatch(path, true))
}

func (c *Client) children(ctx context.Context, path string, w *Watch) ([]string, zk.Stat, *Watch, error) {
	if err := badPath(zk.OpGetChildren2, path); err != nil {
		return nil, zk.Stat{}, nil, err
	}
	k := c.request(zk.OpGetChildren2, path, &wire.GetChildren2Request{Path: c.full(path), Watch: w != nil}, len(c.chroot))
	k.again, k.watch = true, w
	r, err := run(ctx, c, op[wire.GetChildren2Response]{k, func(d *wire.Decoder) (r wire.GetChildren2Response) {
		r.Decode(d)
		return r
	}})
	if err != nil {
		return nil, zk.Stat{}, nil, err
	}
	return r.Children, r.Stat, w, nil
}

// ChildrenNumber is how many nodes are below a node, at any depth.
func (c *Client) ChildrenNumber(ctx context.Context, path string) (int, error) {
	if err := badPath(zk.OpGetAllChildrenNumber, path); err != nil {
		return 0, err
	}
	k := c.request(zk.OpGetAllChildrenNumber, path, &wire.GetAllChildrenNumberRequest{Path: c.full(path)}, len(c.chroot))
	k.again = true
	return run(ctx, c, op[int]{k, func(d *wire.Decoder) int { return int(d.Int32()) }})
}

// Ephemerals is the paths of this session's ephemeral nodes that start with prefix, in no order. "/" means all.
func (c *Client) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	if err := badPath(zk.OpGetEphemerals, prefix); err != nil {
		return nil, err
	}
	k := c.request(zk.OpGetEphemerals, prefix, &wire.GetEphemeralsRequest{PrefixPath: c.full(prefix)}, len(c.chroot))
	k.again = true
	paths, err := run(ctx, c, op[[]string]{k, func(d *wire.Decoder) []string { return d.Strings(nil) }})
	for i, p := range paths {
		paths[i] = c.local(p)
	}
	return paths, err
}

// Sync waits until the server has caught up with everything committed before the call; a read after it sees all of that. The
// path matters to nobody but ZooKeeper's metrics.
func (c *Client) Sync(ctx context.Context, path string) error {
	if err := badPath(zk.OpSync, path); err != nil {
		return err
	}
	_, err := run(ctx, c, c.syncOp(path))
	return err
}

func (c *Client) syncOp(path string) op[struct{}] {
	k := c.request(zk.OpSync, path, &wire.SyncRequest{Path: c.full(path)}, len(c.chroot))
	k.again = true
	return op[struct{}]{k, nothing}
}

// WhoAmI is the identities that the server sees in this connection; passwords are not among them.
func (c *Client) WhoAmI(ctx context.Context) ([]zk.ID, error) {
	k := newCall(zk.OpWhoAmI, "", nil, 0)
	k.again = true
	return run(ctx, c, op[[]zk.ID]{k, func(d *wire.Decoder) []zk.ID {
		var r wire.WhoAmIResponse
		r.Decode(d)
		ids := make([]zk.ID, len(r.ClientInfo))
		for i, info := range r.ClientInfo {
			ids[i] = zk.ID{Scheme: info.AuthScheme, ID: info.User}
		}
		return ids
	}})
}
