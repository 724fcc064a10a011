package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"gopherwood/client"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

// drain is the events that wait in a watch now, as text, and whether it has ended.
func drain(w *client.Watch) string {
	synctest.Wait()
	var b strings.Builder
	for {
		select {
		case e, ok := <-w.Events():
			if !ok {
				return b.String() + "end"
			}
			fmt.Fprintf(&b, "%d:%s ", e.Type, e.Path)
		default:
			return strings.TrimSpace(b.String())
		}
	}
}

func TestOneShotWatches(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		s.Do(zk.OpCreate, "/a", "")
		_, _, data, err := c.GetW(ctx, "/a")
		check(t, err)
		_, ok, missing, err := c.ExistsW(ctx, "/a/x")
		check(t, err)
		if ok {
			t.Error("/a/x exists")
		}
		_, _, there, err := c.ExistsW(ctx, "/a")
		check(t, err)
		_, _, children, err := c.ChildrenW(ctx, "/a")
		check(t, err)
		if _, _, w, err := c.GetW(ctx, "/none"); w != nil || !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("a watch without a node: %v, %v", w, err)
		}
		for name, w := range map[string]*client.Watch{"data": data, "exists": missing, "there": there, "children": children} {
			if got := drain(w); got != "" {
				t.Errorf("%s before any change: %s", name, got)
			}
		}
		s.Do(zk.OpCreate, "/a/x", "")
		if got := drain(missing); got != "1:/a/x end" {
			t.Errorf("exists: %s", got)
		}
		if got := drain(children); got != "4:/a end" {
			t.Errorf("children: %s", got)
		}
		s.Do(zk.OpSetData, "/a", "v")
		s.Do(zk.OpSetData, "/a", "w")
		if got := drain(data) + " " + drain(there); got != "3:/a end 3:/a end" {
			t.Errorf("data: %s", got)
		}
		if err := data.Err(); err != nil {
			t.Errorf("Err of a watch that fired: %v", err)
		}
		_, _, gone, err := c.ChildrenW(ctx, "/a/x")
		check(t, err)
		s.Do(zk.OpDelete, "/a/x", "")
		if got := drain(gone); got != "2:/a/x end" {
			t.Errorf("deleted: %s", got)
		}
	})
}

// The event is in the channel before the call returns whose answer shows the change, the own write's included.
func TestEventBeforeAnswer(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		must[string](t)(c.Create(ctx, "/a", nil, client.CreateOptions{}))
		for range 100 {
			_, _, w, err := c.GetW(ctx, "/a")
			check(t, err)
			must[zk.Stat](t)(c.Set(ctx, "/a", nil, -1))
			select {
			case <-w.Events():
			default:
				t.Fatal("the write returned before its event")
			}
		}
	})
}

func TestPersistentWatches(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		node, err := c.AddWatch(ctx, "/a", zk.AddWatchPersistent)
		check(t, err)
		below, err := c.AddWatch(ctx, "/a", zk.AddWatchPersistentRecursive)
		check(t, err)
		all, err := c.AddWatch(ctx, "/", zk.AddWatchPersistentRecursive)
		check(t, err)
		for _, do := range []struct {
			op   zk.OpCode
			path string
		}{{zk.OpCreate, "/a"}, {zk.OpCreate, "/a/b"}, {zk.OpSetData, "/a/b"}, {zk.OpDelete, "/a/b"}, {zk.OpDelete, "/a"}} {
			s.Do(do.op, do.path, "")
		}
		if got, want := drain(node), "1:/a 4:/a 4:/a 2:/a"; got != want {
			t.Errorf("persistent: %s, want %s", got, want)
		}
		want := "1:/a 1:/a/b 3:/a/b 2:/a/b 2:/a"
		if got := drain(below); got != want {
			t.Errorf("recursive: %s, want %s", got, want)
		}
		if got := drain(all); got != want {
			t.Errorf("on the root: %s, want %s", got, want)
		}
		check(t, c.CheckWatches(ctx, "/a", zk.WatcherAny))
		check(t, c.RemoveWatches(ctx, "/a", zk.WatcherAny))
		if got := drain(node); got != "end" || !errors.Is(node.Err(), client.ErrWatchRemoved) {
			t.Errorf("removed: %s, %v", got, node.Err())
		}
		if err := c.RemoveWatches(ctx, "/a", zk.WatcherAny); !errors.Is(err, zk.ErrNoWatcher) {
			t.Errorf("removed twice: %v", err)
		}
		if got := drain(all); got != "" {
			t.Errorf("the watch on another path: %s", got)
		}
	})
}

func TestStop(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		one, err := c.AddWatch(ctx, "/a", zk.AddWatchPersistent)
		check(t, err)
		two, err := c.AddWatch(ctx, "/a", zk.AddWatchPersistent)
		check(t, err)
		one.Stop()
		one.Stop()
		s.Do(zk.OpCreate, "/a", "")
		if got := drain(one) + " " + drain(two); got != "end 1:/a" {
			t.Errorf("one of two stopped: %s", got)
		}
		check(t, c.CheckWatches(ctx, "/a", zk.WatcherPersistent))
		two.Stop()
		if err := c.CheckWatches(ctx, "/a", zk.WatcherPersistent); !errors.Is(err, zk.ErrNoWatcher) {
			t.Errorf("the server was not told: %v", err)
		}
		if err := two.Err(); err != nil {
			t.Errorf("Err after Stop: %v", err)
		}
	})
}

func TestOverflow(t *testing.T) {
	bubble(t, client.Options{WatchBuffer: 2}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		w, err := c.AddWatch(ctx, "/a", zk.AddWatchPersistent)
		check(t, err)
		s.Do(zk.OpCreate, "/a", "")
		for range 3 {
			s.Do(zk.OpSetData, "/a", "")
		}
		if got := drain(w); got != "1:/a 3:/a end" || !errors.Is(w.Err(), client.ErrWatchOverflow) {
			t.Errorf("%s, %v", got, w.Err())
		}
		if err := c.CheckWatches(ctx, "/a", zk.WatcherPersistent); !errors.Is(err, zk.ErrNoWatcher) {
			t.Errorf("the server was not told: %v", err)
		}
	})
}

// Watches are armed again on the next server: what was missed fires, what was not stays, persistent ones are told of the gap.
func TestRearm(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		s.Do(zk.OpCreate, "/a", "")
		s.Do(zk.OpCreate, "/b", "")
		watch := func(_ []byte, _ zk.Stat, w *client.Watch, err error) *client.Watch {
			t.Helper()
			check(t, err)
			return w
		}
		missed, kept := watch(c.GetW(ctx, "/a")), watch(c.GetW(ctx, "/b"))
		_, _, created, err := c.ExistsW(ctx, "/new")
		check(t, err)
		_, _, children, err := c.ChildrenW(ctx, "/b")
		check(t, err)
		persistent, err := c.AddWatch(ctx, "/b", zk.AddWatchPersistent)
		check(t, err)
		recursive, err := c.AddWatch(ctx, "/", zk.AddWatchPersistentRecursive)
		check(t, err)
		stopped, err := c.AddWatch(ctx, "/stopped", zk.AddWatchPersistent)
		check(t, err)

		down := errors.New("down")
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			s.Refuse(a, down)
		}
		s.DropAll()
		synctest.Wait()
		stopped.Stop()
		s.Do(zk.OpSetData, "/a", "v")
		s.Do(zk.OpCreate, "/new", "")
		s.Refuse("c:1", nil)
		check(t, c.Sync(ctx, "/"))
		for name, tt := range map[string]struct {
			w    *client.Watch
			want string
		}{
			"missed":     {missed, "3:/a end"},
			"created":    {created, "1:/new end"},
			"kept":       {kept, ""},
			"children":   {children, ""},
			"persistent": {persistent, "-1:/b"},
			"recursive":  {recursive, "3:/a 1:/new -1:/"}, // the replayed events match it as well
		} {
			if got := drain(tt.w); got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		}
		s.Do(zk.OpSetData, "/b", "v")
		s.Do(zk.OpCreate, "/b/c", "")
		s.Do(zk.OpCreate, "/stopped", "")
		if got := drain(kept) + " " + drain(children) + " " + drain(persistent); got != "3:/b end 4:/b end 3:/b 4:/b" {
			t.Errorf("after: %s", got)
		}
	})
}

// More watches than one setWatches request may name are armed again by several.
func TestRearmMany(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		const n = 300
		name := strings.Repeat("x", 1000)
		var last *client.Watch
		for i := range n {
			_, _, w, err := c.ExistsW(ctx, fmt.Sprintf("/%s%d", name, i))
			check(t, err)
			last = w
		}
		s.DropAll()
		check(t, c.Sync(ctx, "/"))
		requests := 0
		for _, r := range s.Log() {
			if r.Op == zk.OpSetWatches {
				requests++
			}
		}
		if requests != 3 {
			t.Errorf("%d requests", requests)
		}
		s.Do(zk.OpCreate, last.Path(), "")
		if got := drain(last); got != "1:"+last.Path()+" end" {
			t.Errorf("the last watch: %.20s", got)
		}
	})
}

func TestCallback(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		w, err := c.AddWatch(ctx, "/", zk.AddWatchPersistentRecursive)
		check(t, err)
		got := make(chan string, 10)
		w.Do(func(e client.Event) { got <- e.Path })
		for _, p := range []string{"/a", "/b", "/c"} {
			s.Do(zk.OpCreate, p, "")
		}
		if all := <-got + <-got + <-got; all != "/a/b/c" {
			t.Errorf("callbacks %s", all)
		}
		check(t, c.Close()) // waits for the callback's goroutine, or goleak complains
		late := make(chan client.Event, 1)
		w.Do(func(e client.Event) { late <- e })
		if len(late) != 0 {
			t.Error("an event after the end")
		}
	})
}

func TestStates(t *testing.T) {
	var seen []zk.KeeperState
	bubble(t, client.Options{OnState: func(s client.StateChange) { seen = append(seen, s.State) }}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		changes, stop := c.States()
		defer stop()
		s.DropAll()
		check(t, c.Sync(ctx, "/"))
		check(t, c.Close())
		var got []zk.KeeperState
		for ch := range changes {
			got = append(got, ch.State)
		}
		want := fmt.Sprint([]zk.KeeperState{zk.StateSyncConnected, zk.StateDisconnected, zk.StateSyncConnected, zk.StateClosed})
		if fmt.Sprint(got) != want || fmt.Sprint(seen) != want {
			t.Errorf("channel %v, callback %v, want %v", got, seen, want)
		}
		late, stop := c.States()
		defer stop()
		if ch := <-late; ch.State != zk.StateClosed {
			t.Errorf("a late subscriber: %+v", ch)
		}
	})
}
