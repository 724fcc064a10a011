package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// rawClient speaks the protocol frame by frame, so that tests see exactly what was sent and in which order.
type rawClient struct {
	t       testing.TB
	nc      net.Conn
	xid     int32
	session int64
	passwd  []byte
	timeout int32
	events  []string // seen while waiting for a reply
}

// record is what requests are made of.
type record interface{ Append([]byte) []byte }

// testDeadline ends a test that waits for something that does not come.
const testDeadline = 20 * time.Second

func newClient(t testing.TB, nc net.Conn) *rawClient {
	if err := nc.SetDeadline(time.Now().Add(testDeadline)); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	return &rawClient{t: t, nc: nc}
}

// connect opens a session, or takes over the one that c already knows.
func (c *rawClient) connect() *wire.ConnectResponse {
	c.t.Helper()
	return c.handshake(&wire.ConnectRequest{TimeOut: 10_000, SessionID: c.session, Passwd: c.passwd, HasReadOnly: true})
}

func (c *rawClient) handshake(req *wire.ConnectRequest) *wire.ConnectResponse {
	c.t.Helper()
	b, mark := wire.BeginFrame(nil)
	c.write(endFrame(req.Append(b), mark))
	frame := c.frame()
	var resp wire.ConnectResponse
	d := wire.NewDecoder(frame)
	resp.Decode(&d)
	if d.Err() != nil {
		c.t.Fatalf("connect response %x: %v", frame, d.Err())
	}
	c.session, c.timeout = resp.SessionID, resp.TimeOut
	c.passwd = append([]byte(nil), resp.Passwd...)
	return &resp
}

func (c *rawClient) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// request is a request's frame.
func request1(xid int32, op zk.OpCode, r record) []byte {
	b, mark := wire.BeginFrame(nil)
	h := wire.RequestHeader{Xid: xid, Type: op}
	b = h.Append(b)
	if r != nil {
		b = r.Append(b)
	}
	return endFrame(b, mark)
}

// send sends a request without waiting for the reply.
func (c *rawClient) send(op zk.OpCode, r record) int32 {
	c.t.Helper()
	c.xid++
	xid := c.xid
	switch op {
	case zk.OpPing:
		xid = zk.XidPing
	case zk.OpAuth:
		xid = zk.XidAuth
	case zk.OpSetWatches, zk.OpSetWatches2:
		xid = zk.XidSetWatches
	}
	c.write(request1(xid, op, r))
	return xid
}

// frame reads one frame.
func (c *rawClient) frame() []byte {
	c.t.Helper()
	frame, err := readFrame(c.nc)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return frame
}

func readFrame(r io.Reader) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(n[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// reply is a reply's header and what follows it. Events that come before it are kept in events.
func (c *rawClient) reply() (wire.ReplyHeader, *wire.Decoder) {
	c.t.Helper()
	for {
		h, d := parseReply(c.t, c.frame())
		if h.Xid != zk.XidNotification {
			return h, d
		}
		c.events = append(c.events, eventText(h, d))
	}
}

func parseReply(t testing.TB, frame []byte) (wire.ReplyHeader, *wire.Decoder) {
	t.Helper()
	var h wire.ReplyHeader
	d := wire.NewDecoder(frame)
	h.Decode(&d)
	if d.Err() != nil {
		t.Fatalf("reply %x: %v", frame, d.Err())
	}
	return h, &d
}

var eventNames = map[zk.EventType]string{zk.EventNodeCreated: "created", zk.EventNodeDeleted: "deleted",
	zk.EventNodeDataChanged: "changed", zk.EventNodeChildrenChanged: "children"}

func eventText(h wire.ReplyHeader, d *wire.Decoder) string {
	var e wire.WatcherEvent
	e.Decode(d)
	return fmt.Sprintf("%s %s @%d", eventNames[e.Type], e.Path, h.Zxid)
}

// call sends a request and waits for its reply.
func (c *rawClient) call(op zk.OpCode, r record) (wire.ReplyHeader, *wire.Decoder) {
	c.t.Helper()
	xid := c.send(op, r)
	h, d := c.reply()
	if h.Xid != xid {
		c.t.Fatalf("reply to %d, want %d", h.Xid, xid)
	}
	return h, d
}

// must is call for a request that succeeds.
func (c *rawClient) must(op zk.OpCode, r record) *wire.Decoder {
	c.t.Helper()
	h, d := c.call(op, r)
	if h.Err != zk.OK {
		c.t.Fatalf("operation %d: %v", op, h.Err)
	}
	return d
}

func (c *rawClient) create(path, data string, mode zk.CreateMode) {
	c.t.Helper()
	c.must(zk.OpCreate, createReq(path, data, mode))
}

func createReq(path, data string, mode zk.CreateMode) *wire.CreateRequest {
	return &wire.CreateRequest{Path: path, Data: []byte(data), ACL: zk.OpenACL(), Flags: mode}
}

func setReq(path, data string) *wire.SetDataRequest {
	return &wire.SetDataRequest{Path: path, Data: []byte(data), Version: -1}
}

func (c *rawClient) get(path string, watch bool) (string, zk.Stat, zk.Code) {
	c.t.Helper()
	h, d := c.call(zk.OpGetData, &wire.GetDataRequest{Path: path, Watch: watch})
	return getReply(h, d)
}

func getReply(h wire.ReplyHeader, d *wire.Decoder) (string, zk.Stat, zk.Code) {
	if h.Err != zk.OK {
		return "", zk.Stat{}, h.Err
	}
	var r wire.GetDataResponse
	r.Decode(d)
	return string(r.Data), r.Stat, h.Err
}

// seen waits for a ping's reply and returns the events that have come until then.
func (c *rawClient) seen() string {
	c.t.Helper()
	c.must(zk.OpPing, nil)
	all := strings.Join(c.events, ", ")
	c.events = nil
	return all
}

// ended waits until the server hangs up, and hangs up too. What comes before is passed over.
func (c *rawClient) ended() {
	c.t.Helper()
	defer c.nc.Close()
	_, err := io.Copy(io.Discard, c.nc)
	switch {
	case err == nil, errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrClosedPipe):
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.t.Fatal("the server does not hang up")
	default:
		c.t.Fatalf("waiting for the end: %v", err)
	}
}

// client connects to members[i] with a new session.
func (e *ensemble) client(i int) *rawClient {
	e.t.Helper()
	c := newClient(e.t, e.dial(i))
	if r := c.connect(); r.SessionID == 0 {
		e.t.Fatal("no session")
	}
	return c
}
