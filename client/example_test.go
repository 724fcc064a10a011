package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"gopherwood/client"
	"gopherwood/zk"
)

// Connect to an ensemble, write, read, and leave.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Connect(ctx, "zk1:2181,zk2:2181,zk3:2181", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if _, err := c.Create(ctx, "/config", []byte("a=1"), client.CreateOptions{}); err != nil && !errors.Is(err, zk.ErrNodeExists) {
		log.Fatal(err)
	}
	data, stat, err := c.Get(ctx, "/config")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s (version %d)\n", data, stat.Version)
}

// Follow a node: read and watch in one step, handle what was read, wait for the event, again.
func ExampleClient_GetW() {
	follow := func(ctx context.Context, c *client.Client, path string) error {
		for {
			data, _, watch, err := c.GetW(ctx, path)
			if err != nil {
				return err
			}
			fmt.Printf("%s\n", data)
			select {
			case _, fired := <-watch.Events():
				if !fired {
					return watch.Err() // the session is over
				}
			case <-ctx.Done():
				watch.Stop()
				return ctx.Err()
			}
		}
	}
	_ = follow
}

// Watch a whole subtree through a callback.
func ExampleWatch_Do() {
	watchTree := func(ctx context.Context, c *client.Client) error {
		watch, err := c.AddWatch(ctx, "/services", zk.AddWatchPersistentRecursive)
		if err != nil {
			return err
		}
		watch.Do(func(e client.Event) {
			if e.Type == zk.EventNone {
				fmt.Println("reconnected: read everything again")
				return
			}
			fmt.Println(e.Type, e.Path)
		})
		return nil
	}
	_ = watchTree
}

// Move a node's data to another node, or do nothing if somebody changed it meanwhile.
func ExampleClient_Multi() {
	move := func(ctx context.Context, c *client.Client, from, to string) error {
		data, stat, err := c.Get(ctx, from)
		if err != nil {
			return err
		}
		txn := new(client.Txn).Create(to, data, client.CreateOptions{}).Delete(from, stat.Version)
		_, err = c.Multi(ctx, txn)
		var failed *client.TxnError
		if errors.As(err, &failed) {
			return fmt.Errorf("%s stands in the way: %w", failed.Path, failed.Code)
		}
		return err
	}
	_ = move
}

// Write many nodes without waiting for each, in an order that holds even if the connection is lost in between: "ready" is never
// there without the others.
func ExampleClient_Pipeline() {
	publish := func(ctx context.Context, c *client.Client, parts map[string][]byte) error {
		p := c.Pipeline()
		var sets []*client.Pending[zk.Stat]
		for path, data := range parts {
			sets = append(sets, p.Set(ctx, path, data, client.AnyVersion))
		}
		ready := p.Create(ctx, "/ready", nil, client.CreateOptions{})
		for _, set := range sets {
			if _, err := set.Wait(ctx); err != nil {
				return err
			}
		}
		_, err := ready.Wait(ctx)
		return err
	}
	_ = publish
}

// Repeat a write that was never carried out, and look before repeating one that may have been.
func ExampleOutcomeUnknown() {
	createOnce := func(ctx context.Context, c *client.Client, path string, data []byte) error {
		for {
			_, err := c.Create(ctx, path, data, client.CreateOptions{})
			switch {
			case client.OutcomeUnknown(err):
				if _, exists, err := c.Exists(ctx, path); exists || err != nil {
					return err
				}
			case errors.Is(err, zk.ErrConnectionLoss): // it never left
			default:
				return err
			}
		}
	}
	_ = createOnce
}
