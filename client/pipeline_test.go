package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"gopherwood/client"
	"gopherwood/internal/fakezk"
	"gopherwood/zk"
)

func TestPipeline(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		p := c.Pipeline()
		created := p.Create(ctx, "/a-", nil, client.CreateOptions{Mode: zk.ModePersistentSequential})
		refused := p.Set(ctx, "/none", nil, -1)
		set := p.Set(ctx, "/a-0000000000", []byte("v"), 0)
		get := p.Get(ctx, "/a-0000000000")
		bad := p.Delete(ctx, "relative", -1)
		synced := p.Sync(ctx, "/")
		gone := p.Delete(ctx, "/a-0000000000", 1)
		if n, err := created.Wait(ctx); err != nil || n.Path != "/a-0000000000" || n.Stat.Czxid == 0 {
			t.Errorf("create: %+v, %v", n, err)
		}
		if _, err := refused.Wait(ctx); !errors.Is(err, zk.ErrNoNode) {
			t.Errorf("refused: %v", err)
		}
		if st, err := set.Wait(ctx); err != nil || st.Version != 1 {
			t.Errorf("set: %+v, %v", st, err)
		}
		if n, err := get.Wait(ctx); err != nil || string(n.Data) != "v" {
			t.Errorf("get: %+v, %v", n, err)
		}
		<-bad.Done()
		if _, err := bad.Wait(ctx); !errors.Is(err, zk.ErrBadArguments) {
			t.Errorf("bad path: %v", err)
		}
		for i := range 2 { // the answer can be had twice
			if _, err := synced.Wait(ctx); err != nil {
				t.Error(i, err)
			}
		}
		if _, err := gone.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
}

// When one call of a pipeline is lost, no later one is carried out, whether it was made before the loss or after.
func TestPipelineBreaks(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		s.Hook(func(r fakezk.Request) (v fakezk.Verdict) {
			if r.Path == "/1" && r.Op == zk.OpCreate2 {
				v.Fate = fakezk.DropBefore
			}
			return v
		})
		p := c.Pipeline()
		var calls []*client.Pending[client.Created]
		for i := range 4 {
			calls = append(calls, p.Create(ctx, fmt.Sprintf("/%d", i), nil, client.CreateOptions{}))
		}
		synctest.Wait()
		calls = append(calls, p.Create(ctx, "/late", nil, client.CreateOptions{}))
		other := c.Pipeline().Create(ctx, "/other", nil, client.CreateOptions{})
		for i, k := range calls {
			_, err := k.Wait(ctx)
			late := i == len(calls)-1
			switch {
			case i == 0 && err == nil:
			case i == 0 && !client.OutcomeUnknown(err): // its answer may have been lost with the connection
				t.Errorf("call 0: %v", err)
			case i > 0 && !errors.Is(err, zk.ErrConnectionLoss):
				t.Errorf("call %d: %v", i, err)
			case late && client.OutcomeUnknown(err):
				t.Errorf("a call that was never sent: %v", err)
			}
		}
		if _, err := other.Wait(ctx); err != nil {
			t.Errorf("another pipeline: %v", err)
		}
		for _, path := range []string{"/1", "/2", "/3", "/late"} {
			if _, ok, err := c.Exists(ctx, path); ok || err != nil {
				t.Errorf("%s exists: %v, %v", path, ok, err)
			}
		}
	})
}

// Calls that are still unsent when the connection goes wait for the next one, if nothing of their pipeline is in doubt.
func TestPipelineUnsentWaits(t *testing.T) {
	bubble(t, client.Options{}, func(ctx context.Context, s *fakezk.Server, c *client.Client) {
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			s.Refuse(a, errors.New("down"))
		}
		s.DropAll()
		synctest.Wait()
		p := c.Pipeline()
		k := p.Create(ctx, "/x", nil, client.CreateOptions{})
		given := p.Create(ctx, "/y", nil, client.CreateOptions{})
		short, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := given.Wait(short); !errors.Is(err, context.Canceled) || !client.OutcomeUnknown(err) {
			t.Errorf("given up waiting: %v", err)
		}
		s.Refuse("a:1", nil)
		if _, err := k.Wait(ctx); err != nil {
			t.Error(err)
		}
		if _, err := given.Wait(ctx); err != nil { // nobody took it out
			t.Error(err)
		}
	})
}
