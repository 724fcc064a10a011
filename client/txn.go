package client

import (
	"context"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// Txn is a list of writes that are carried out together or not at all. The zero Txn is empty; its methods append to it and
// return it, so that calls can be chained. It may be used again and must not be changed while Multi runs.
type Txn struct {
	ops []wire.Op // paths as the caller gave them
	err error     // the first operation that cannot be
}

// TxnResult is what one operation of a transaction did.
type TxnResult struct {
	Path string  // of the node made; "" for others
	Stat zk.Stat // of the node made or set; servers before 3.9 leave it zero for nodes made
}

func (t *Txn) add(o wire.Op, err error) *Txn {
	if err != nil && t.err == nil {
		t.err = err
	}
	t.ops = append(t.ops, o)
	return t
}

// Create makes a node.
func (t *Txn) Create(path string, data []byte, o CreateOptions) *Txn {
	return t.add(wire.Op{
		Type:  createCode(zk.OpCreate2, o.Mode),
		Path:  path,
		Data:  data,
		ACL:   o.acl(),
		Flags: o.Mode,
		TTL:   o.TTL.Milliseconds(),
	}, o.check(path))
}

// Set replaces a node's data if its version is the given one, or AnyVersion.
func (t *Txn) Set(path string, data []byte, version int32) *Txn {
	return t.add(wire.Op{Type: zk.OpSetData, Path: path, Data: data, Version: version}, badPath(zk.OpSetData, path))
}

// Delete removes a node without children if its version is the given one, or AnyVersion.
func (t *Txn) Delete(path string, version int32) *Txn {
	return t.add(wire.Op{Type: zk.OpDelete, Path: path, Version: version}, badPath(zk.OpDelete, path))
}

// Check lets the transaction fail unless the node exists and has the given version, or AnyVersion.
func (t *Txn) Check(path string, version int32) *Txn {
	return t.add(wire.Op{Type: zk.OpCheck, Path: path, Version: version}, badPath(zk.OpCheck, path))
}

// Len is the number of operations.
func (t *Txn) Len() int { return len(t.ops) }

// Multi carries out a transaction and returns one result for each operation. If one fails none is carried out, and errors.As
// finds a *TxnError in the error that says which.
func (c *Client) Multi(ctx context.Context, t *Txn) ([]TxnResult, error) {
	if t.err != nil {
		return nil, t.err
	}
	o := c.multiOp(zk.OpMulti, t.ops)
	results, err := run(ctx, c, o)
	if err != nil {
		return nil, err
	}
	return txnResults(o.call, t.ops, results, c.local)
}

func (c *Client) multiOp(code zk.OpCode, ops []wire.Op) op[[]wire.MultiResult] {
	size := 0
	req := wire.MultiRequest{Ops: make([]wire.Op, len(ops))}
	for i, o := range ops {
		o.Path = c.full(o.Path)
		req.Ops[i] = o
		size += 64 + len(o.Path) + len(o.Data)
	}
	return op[[]wire.MultiResult]{newCall(code, "", &req, size), func(d *wire.Decoder) []wire.MultiResult {
		var r wire.MultiResponse
		r.Decode(d)
		return r.Results
	}}
}

// txnResults turns the members of a reply into results, or into the error of the one to blame: the others' say only that they
// were not carried out.
func txnResults(k *call, ops []wire.Op, results []wire.MultiResult, local func(string) string) ([]TxnResult, error) {
	failed := &TxnError{Index: -1}
	out := make([]TxnResult, len(results))
	for i, r := range results {
		if r.Type != zk.OpError {
			out[i] = TxnResult{Path: local(r.Path), Stat: r.Stat}
			continue
		}
		if failed.Code == zk.OK || failed.Index < 0 && r.Err != zk.ErrRuntimeInconsistency {
			failed.Code = r.Err
		}
		if failed.Index < 0 && i < len(ops) && r.Err != zk.OK && r.Err != zk.ErrRuntimeInconsistency {
			failed.Index, failed.Op, failed.Path = i, opName(ops[i].Type), ops[i].Path
		}
	}
	if failed.Code != zk.OK {
		return nil, k.fail(failed, false)
	}
	if len(results) != len(ops) {
		return nil, k.fail(zk.ErrMarshalling, false)
	}
	return out, nil
}

// Reads is a list of reads that are answered together, from one state of the server. It is used like Txn.
type Reads struct {
	ops []wire.Op
	err error
}

// ReadResult is the answer to one read. Err is a zk.Code, or nil.
type ReadResult struct {
	Data     []byte   // of Get
	Stat     zk.Stat  // of Get
	Children []string // of Children, in no order
	Err      error
}

// Get reads a node's data and Stat.
func (r *Reads) Get(path string) *Reads { return r.add(zk.OpGetData, path) }

// Children reads the names of a node's children.
func (r *Reads) Children(path string) *Reads { return r.add(zk.OpGetChildren, path) }

func (r *Reads) add(code zk.OpCode, path string) *Reads {
	if err := badPath(code, path); err != nil && r.err == nil {
		r.err = err
	}
	r.ops = append(r.ops, wire.Op{Type: code, Path: path})
	return r
}

// MultiRead carries out several reads with one request. One that fails does not disturb the others. Needs a server of 3.6 or later.
func (c *Client) MultiRead(ctx context.Context, r *Reads) ([]ReadResult, error) {
	if r.err != nil {
		return nil, r.err
	}
	o := c.multiOp(zk.OpMultiRead, r.ops)
	o.call.again = true
	results, err := run(ctx, c, o)
	if err != nil {
		return nil, err
	}
	if len(results) != len(r.ops) {
		return nil, o.call.fail(zk.ErrMarshalling, false)
	}
	out := make([]ReadResult, len(results))
	for i, m := range results {
		out[i] = ReadResult{Data: m.Data, Stat: m.Stat, Children: m.Children}
		if m.Type == zk.OpError {
			out[i].Err = m.Err
		}
	}
	return out, nil
}
