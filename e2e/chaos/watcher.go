package chaos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gopherwood/e2e/internal/raw"
	"gopherwood/internal/history"
	"gopherwood/zk"
)

// watch keeps a persistent recursive watch on the folder, reads now and then, and makes a Watcher of each connection.
func (s *stage) watch(from dialer, r *rand.Rand) (all []history.Watcher, wrong []string) {
	for !s.closing.Load() {
		w, err := s.watchOnce(from, s.addrs[r.IntN(len(s.addrs))])
		if w.Armed != 0 {
			all = append(all, w)
		}
		if err != nil && errors.Is(err, errWrong) {
			wrong = append(wrong, err.Error())
		}
		time.Sleep(retryPause)
	}
	return all, wrong
}

// errWrong is an answer that no server gives.
var errWrong = errors.New("wrong answer")

func (s *stage) watchOnce(from dialer, addr string) (w history.Watcher, err error) {
	w.Prefix = s.folder
	tcp, err := from.Dial("tcp", addr, dialLimit)
	if err != nil {
		return w, err
	}
	conn, err := raw.Open(tcp, raw.Session{TimeoutMs: int32(sessionTimeout / time.Millisecond)}, dialLimit)
	if err != nil {
		return w, err
	}
	defer conn.Close()
	if err := conn.Net().SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return w, err
	}
	reply, err := conn.Call(raw.AddWatch(nil, 1, s.folder, 1))
	if err != nil || reply.Err != 0 {
		return w, fmt.Errorf("add a watch: error %d, %w", reply.Err, err)
	}
	w.Armed = reply.Zxid
	for xid := int32(2); ; xid++ {
		last := s.closing.Load()
		if err := conn.Net().SetDeadline(time.Now().Add(answerLimit)); err != nil {
			return w, err
		}
		if err := conn.Send(raw.Read(nil, xid, raw.OpExists, s.folder)); err != nil {
			return w, err
		}
		if err := conn.Flush(); err != nil {
			return w, err
		}
		for answered := false; !answered; {
			r, err := conn.Receive()
			if err != nil {
				return w, err
			}
			f := history.Frame{Zxid: r.Zxid}
			switch {
			case r.Xid == xid:
				answered = true
			case r.Xid == raw.XidEvent && len(r.Body) >= 8:
				f.Type = zk.EventType(binary.BigEndian.Uint32(r.Body))
				path, _, err := raw.TakeBytes(r.Body[8:])
				if err != nil {
					return w, fmt.Errorf("%w: event: %w", errWrong, err)
				}
				f.Path = string(path)
			default:
				return w, fmt.Errorf("%w: frame of xid %d", errWrong, r.Xid)
			}
			w.Frames = append(w.Frames, f)
		}
		if last {
			return w, nil
		}
		time.Sleep(maxThink)
	}
}
