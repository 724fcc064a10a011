package wire_test

import (
	"fmt"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// conn is what a server keeps per connection: one of each record, decoded into again and again.
type conn struct {
	d        wire.Decoder
	header   wire.RequestHeader
	get      wire.GetDataRequest
	set      wire.SetDataRequest
	create   wire.CreateRequest
	exists   wire.ExistsRequest
	children wire.GetChildren2Request
	multi    wire.MultiRequest
	out      []byte
}

func (c *conn) decode(frame []byte) error {
	c.d.Reset(frame)
	c.header.Decode(&c.d)
	switch c.header.Type {
	case zk.OpGetData:
		c.get.Decode(&c.d)
	case zk.OpSetData:
		c.set.Decode(&c.d)
	case zk.OpCreate:
		c.create.Decode(&c.d)
	case zk.OpExists:
		c.exists.Decode(&c.d)
	case zk.OpGetChildren2:
		c.children.Decode(&c.d)
	case zk.OpMulti:
		c.multi.Decode(&c.d)
	}
	return c.d.Err()
}

var value = make([]byte, 100)

// hot are the requests of the paths that must not allocate.
var hot = []struct {
	name string
	op   zk.OpCode
	r    record
}{
	{"getData", zk.OpGetData, &wire.GetDataRequest{Path: "/app/members/m0000000042", Watch: true}},
	{"setData", zk.OpSetData, &wire.SetDataRequest{Path: "/app/members/m0000000042", Data: value, Version: -1}},
	{"create", zk.OpCreate, &wire.CreateRequest{Path: "/app/members/m", Data: value, ACL: zk.OpenACL(), Flags: zk.ModeEphemeral}},
	{"exists", zk.OpExists, &wire.ExistsRequest{Path: "/app/members/m0000000042", Watch: true}},
	{"getChildren2", zk.OpGetChildren2, &wire.GetChildren2Request{Path: "/app/members"}},
	{"multi", zk.OpMulti, &wire.MultiRequest{Ops: []wire.Op{
		{Type: zk.OpCheck, Path: "/app", Version: 3},
		{Type: zk.OpSetData, Path: "/app/a", Data: value, Version: -1},
		{Type: zk.OpCreate, Path: "/app/b", Data: value, ACL: zk.OpenACL()},
		{Type: zk.OpDelete, Path: "/app/c", Version: -1},
	}}},
}

func requestFrame(op zk.OpCode, r record) []byte {
	h := wire.RequestHeader{Xid: 1, Type: op}
	return r.Append(h.Append(nil))
}

func TestDecodingDoesNotAllocate(t *testing.T) {
	var c conn
	for _, h := range hot {
		frame := requestFrame(h.op, h.r)
		if err := c.decode(frame); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _ = c.decode(frame) }); n != 0 {
			t.Errorf("%s: %v allocations", h.name, n)
		}
	}
}

// names are a directory's.
var names = func() (all [][]byte) {
	for i := range 100 {
		all = append(all, fmt.Appendf(nil, "m%010d", i))
	}
	return all
}()

// replies append what follows the header, as a server would.
var replies = []struct {
	name string
	f    func(b []byte) []byte
}{
	{"getData", func(b []byte) []byte {
		r := wire.GetDataResponse{Data: value, Stat: stat}
		return r.Append(b)
	}},
	{"setData", func(b []byte) []byte {
		r := wire.SetDataResponse{Stat: stat}
		return r.Append(b)
	}},
	{"create", func(b []byte) []byte {
		r := wire.CreateResponse{Path: "/app/members/m0000000042"}
		return r.Append(b)
	}},
	{"100 children", func(b []byte) []byte {
		b, mark := wire.BeginVector(b)
		for _, name := range names {
			b = wire.AppendStringBytes(b, name)
		}
		wire.EndVector(b, mark, len(names))
		return wire.AppendStat(b, &stat)
	}},
	{"multi", func(b []byte) []byte {
		for _, r := range [...]wire.MultiResult{{Type: zk.OpCheck}, {Type: zk.OpSetData, Stat: stat}, {Type: zk.OpCreate, Path: "/a"}} {
			b = r.Append(b)
		}
		return wire.AppendMultiEnd(b)
	}},
	{"nothing", func(b []byte) []byte { return b }},
}

func (c *conn) reply(f func(b []byte) []byte) error {
	b, mark := wire.BeginFrame(c.out[:0])
	h := wire.ReplyHeader{Xid: 1, Zxid: 2}
	c.out = f(h.Append(b))
	return wire.EndFrame(c.out, mark)
}

func TestAppendingDoesNotAllocate(t *testing.T) {
	c := conn{out: make([]byte, 0, 4096)}
	for _, r := range replies {
		if n := testing.AllocsPerRun(100, func() { _ = c.reply(r.f) }); n != 0 {
			t.Errorf("reply to %s: %v allocations", r.name, n)
		}
	}
	event := wire.WatcherEvent{Type: zk.EventNodeCreated, State: zk.StateSyncConnected, Path: "/app/members/m"}
	if n := testing.AllocsPerRun(100, func() { c.out = wire.AppendEventFrame(c.out[:0], 7, &event) }); n != 0 {
		t.Errorf("event: %v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, h := range hot {
		b.Run(h.name, func(b *testing.B) {
			var c conn
			frame := requestFrame(h.op, h.r)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if err := c.decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReply(b *testing.B) {
	for _, r := range replies {
		b.Run(r.name, func(b *testing.B) {
			c := conn{out: make([]byte, 0, 4096)}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.reply(r.f); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(c.out)))
		})
	}
}

func BenchmarkEvent(b *testing.B) {
	event := wire.WatcherEvent{Type: zk.EventNodeCreated, State: zk.StateSyncConnected, Path: "/app/members/m0000000042"}
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = wire.AppendEventFrame(out[:0], 7, &event)
	}
}
