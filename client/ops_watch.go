package client

import (
	"context"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// AddWatch watches a node that may or may not exist until the watch is stopped: zk.AddWatchPersistent reports the node's creation, data,
// end and list of children; zk.AddWatchPersistentRecursive creation, data and end of the node and of all nodes below it. Needs a
// server of 3.6 or later. There is a Watch only without an error.
func (c *Client) AddWatch(ctx context.Context, path string, mode zk.AddWatchMode) (*Watch, error) {
	if err := badPath(zk.OpAddWatch, path); err != nil {
		return nil, err
	}
	w := c.newWatch(path, false)
	w.kind = kindPersistent
	if mode == zk.AddWatchPersistentRecursive {
		w.kind = kindRecursive
	}
	k := c.request(zk.OpAddWatch, path, &wire.AddWatchRequest{Path: c.full(path), Mode: mode}, len(c.chroot))
	k.again, k.watch = true, w
	if _, err := run(ctx, c, op[struct{}]{k, nothing}); err != nil {
		return nil, err
	}
	return w, nil
}

// RemoveWatches removes this session's watches of one type from a path, at the server and here: their channels are closed and Watch.Err is
// ErrWatchRemoved. It fails with zk.ErrNoWatcher if there is none. Not every server before 3.9 knows zk.WatcherPersistent and
// zk.WatcherPersistentRecursive.
func (c *Client) RemoveWatches(ctx context.Context, path string, t zk.WatcherType) error {
	if err := badPath(zk.OpRemoveWatches, path); err != nil {
		return err
	}
	k := c.request(zk.OpRemoveWatches, path, &wire.RemoveWatchesRequest{Path: c.full(path), Type: t}, len(c.chroot))
	k.remove = t
	_, err := run(ctx, c, op[struct{}]{k, nothing})
	return err
}

// CheckWatches asks the server whether this session has a watch of one type on a path; if not it fails with zk.ErrNoWatcher.
func (c *Client) CheckWatches(ctx context.Context, path string, t zk.WatcherType) error {
	if err := badPath(zk.OpCheckWatches, path); err != nil {
		return err
	}
	k := c.request(zk.OpCheckWatches, path, &wire.CheckWatchesRequest{Path: c.full(path), Type: t}, len(c.chroot))
	k.again = true
	_, err := run(ctx, c, op[struct{}]{k, nothing})
	return err
}
