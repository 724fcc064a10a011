package chaos

import (
	"fmt"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/internal/history"
	"gopherwood/zk"
)

// reader reads every node through one server, after a sync each: what is left at the end of a round.
func (s *stage) reader(addr string, from dialer) (*history.Client, error) {
	tcp, err := from.Dial("tcp", addr, dialLimit)
	if err != nil {
		return nil, err
	}
	conn, err := raw.Open(tcp, raw.Session{TimeoutMs: int32(healLimit / time.Millisecond)}, dialLimit)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var log history.Client
	var paths []string
	for i := range plainPaths {
		paths = append(paths, s.plain(i))
	}
	for i := range lockPaths {
		paths = append(paths, s.lock(i))
	}
	xid := int32(0)
	call := func(request func(xid int32) []byte) (raw.Reply, error) {
		if err := conn.Net().SetDeadline(time.Now().Add(healLimit)); err != nil {
			return raw.Reply{}, err
		}
		xid++
		return conn.Call(request(xid))
	}
	for _, p := range paths {
		o := history.Op{Session: conn.Session.ID, Kind: history.Read, Path: p, Synced: true, Call: s.now()}
		if r, err := call(func(xid int32) []byte { return raw.Sync(nil, xid, p) }); err != nil || r.Err != 0 {
			return nil, fmt.Errorf("sync through %s: error %d, %w", addr, r.Err, err)
		}
		r, err := call(func(xid int32) []byte { return request(xid, &o) })
		if err == nil {
			err = decode(&o, r)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s through %s: %w", p, addr, err)
		}
		o.Return, o.Zxid, o.Code = s.now(), r.Zxid, zk.Code(r.Err)
		log.Ops = append(log.Ops, o)
	}
	_, err = call(func(xid int32) []byte { return raw.CloseSession(nil, xid) })
	return &log, err
}
