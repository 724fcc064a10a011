package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"gopherwood/client"
	"gopherwood/zk"
)

// walkers is how many nodes of one level are read at the same time.
const walkers = 32

// walk is the paths of a node and of all below it, sorted. Nodes that go meanwhile are left out.
func walk(ctx context.Context, c *client.Client, root string) ([]string, error) {
	var paths []string
	err := walkStats(ctx, c, root, func(path string, _ zk.Stat) { paths = append(paths, path) })
	slices.Sort(paths)
	return paths, err
}

// walkStats calls visit for a node and all below it, level by level, in order within a level. What it may not read it passes over, and
// says so in the end.
func walkStats(ctx context.Context, c *client.Client, root string, visit func(path string, stat zk.Stat)) error {
	type node struct {
		names []string
		stat  zk.Stat
		err   error
	}
	var denied error
	for level := []string{root}; len(level) > 0; {
		nodes := make([]node, len(level))
		var wg sync.WaitGroup
		slots := make(chan struct{}, walkers)
		for i, path := range level {
			slots <- struct{}{}
			wg.Go(func() {
				n := &nodes[i]
				n.names, n.stat, n.err = c.Children(ctx, path)
				<-slots
			})
		}
		wg.Wait()
		var next []string
		for i, path := range level {
			n := &nodes[i]
			if errors.Is(n.err, zk.ErrNoNode) && path != root {
				continue
			}
			if errors.Is(n.err, zk.ErrNoAuth) {
				denied = n.err
				continue
			}
			if n.err != nil {
				return n.err
			}
			visit(path, n.stat)
			slices.Sort(n.names)
			for _, name := range n.names {
				next = append(next, zk.Join(path, name))
			}
		}
		level = next
	}
	return denied
}
