package client

import (
	"context"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Pipeline sends requests without waiting for the answers to those before. They are carried out in order, and a write is never carried out
// unless those before it in the same pipeline were sent to the same server connection: when the connection is lost, every call whose answer
// has not come fails with zk.ErrConnectionLoss (OutcomeUnknown tells those that had been sent from those that had not), and so does
// every later call of this pipeline. Make another one to go on. A call that a server refuses does not stop the pipeline.
//
// The calls of one Pipeline are to come from one goroutine at a time; each waits at Options.MaxPendingBytes.
type Pipeline struct {
	c      *Client
	broken bool // guarded by Client.mu
}

// Pipeline starts one.
func (c *Client) Pipeline() *Pipeline { return &Pipeline{c: c} }

// Pending is a call whose answer may not have come yet.
type Pending[T any] struct {
	op   op[T]
	err  error // it was never submitted
	done <-chan struct{}
}

// Done is closed when the answer, or an error, is there.
func (p *Pending[T]) Done() <-chan struct{} { return p.done }

// Wait is the answer. A context that ends stops the waiting, not the request: its error says OutcomeUnknown for a write. Wait may
// be called again.
func (p *Pending[T]) Wait(ctx context.Context) (T, error) {
	var zero T
	if p.err != nil {
		return zero, p.err
	}
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			return zero, p.op.call.fail(ctx.Err(), !p.op.call.again)
		}
	}
	body, err := p.op.call.result()
	if err != nil {
		return zero, err
	}
	return p.op.read(body)
}

// start submits an operation of a pipeline, unless err is set already.
func start[T any](ctx context.Context, p *Pipeline, o op[T], err error) *Pending[T] {
	if err == nil {
		o.call.pipe = p
		err = p.c.submit(ctx, o.call)
	}
	if err != nil {
		done := make(chan struct{})
		close(done)
		return &Pending[T]{op: o, err: err, done: done}
	}
	return &Pending[T]{op: o, done: o.call.done}
}

// Create is Client.Create2 without waiting.
func (p *Pipeline) Create(ctx context.Context, path string, data []byte, o CreateOptions) *Pending[Created] {
	in := p.c.createOp(zk.OpCreate2, path, data, &o)
	out := op[Created]{in.call, func(d *wire.Decoder) Created {
		r := in.decode(d)
		return Created{Path: r.value, Stat: r.stat}
	}}
	return start(ctx, p, out, o.check(path))
}

// Set is Client.Set without waiting.
func (p *Pipeline) Set(ctx context.Context, path string, data []byte, version int32) *Pending[zk.Stat] {
	return start(ctx, p, p.c.setOp(path, data, version), badPath(zk.OpSetData, path))
}

// Delete is Client.Delete without waiting.
func (p *Pipeline) Delete(ctx context.Context, path string, version int32) *Pending[struct{}] {
	return start(ctx, p, p.c.deleteOp(path, version), badPath(zk.OpDelete, path))
}

// Get is Client.Get without waiting. It sees the writes before it in the pipeline.
func (p *Pipeline) Get(ctx context.Context, path string) *Pending[Node] {
	in := p.c.getOp(path, nil)
	out := op[Node]{in.call, func(d *wire.Decoder) Node {
		r := in.decode(d)
		return Node{Data: r.value, Stat: r.stat}
	}}
	return start(ctx, p, out, badPath(zk.OpGetData, path))
}

// Sync is Client.Sync without waiting: reads after it in the pipeline are linearizable.
func (p *Pipeline) Sync(ctx context.Context, path string) *Pending[struct{}] {
	return start(ctx, p, p.c.syncOp(path), badPath(zk.OpSync, path))
}

// Created is a node just made.
type Created struct {
	Path string
	Stat zk.Stat
}

// Node is a node's data and Stat.
type Node struct {
	Data []byte
	Stat zk.Stat
}
