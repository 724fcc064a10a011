package chaos

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	gozk "github.com/go-zookeeper/zk"

	"gopherwood/internal/history"
	"gopherwood/zk"
)

// kit is a client that goes through go-zookeeper, with nodes of its own kind: the library hides zxids, so these are judged by
// porcupine alone. One goroutine runs it.
type kit struct {
	*stage
	rand  *rand.Rand
	acked atomic.Int64
	log   history.Client
}

// run works until the round's end.
func (k *kit) run(from dialer) error {
	conn, _, err := gozk.Connect(k.addrs, sessionTimeout, gozk.WithLogInfo(false), gozk.WithLogger(silent{}),
		gozk.WithDialer(func(network, addr string, _ time.Duration) (net.Conn, error) {
			return from.Dial(network, addr, dialLimit)
		}))
	if err != nil {
		return err
	}
	defer conn.Close()
	for !k.closing.Load() {
		o := k.draw()
		k.do(conn, &o)
		k.log.Ops = append(k.log.Ops, o)
		time.Sleep(time.Duration(k.rand.Int64N(int64(maxThink))))
	}
	return nil
}

// silent is a logger: the library has much to say about broken connections.
type silent struct{}

// Printf implements its interface.
func (silent) Printf(string, ...any) {}

func (k *kit) draw() history.Op {
	o := history.Op{Path: k.kit(k.rand.IntN(kitPaths)), Version: -1}
	switch n := k.rand.IntN(10); {
	case n < 2:
		o.Kind, o.Data = history.Create, k.unique()
	case n < 5:
		o.Kind, o.Data = history.Set, k.unique()
	case n < 6:
		o.Kind = history.Delete
	default:
		o.Kind, o.Synced = history.Read, true
	}
	return o
}

// do asks for the operation and takes the answer.
func (k *kit) do(conn *gozk.Conn, o *history.Op) {
	o.Session, o.Call, o.Return = conn.SessionID(), k.now(), history.Never
	var err error
	var stat *gozk.Stat
	switch o.Kind {
	case history.Create:
		o.Made, err = conn.Create(o.Path, []byte(o.Data), 0, gozk.WorldACL(gozk.PermAll))
	case history.Set:
		stat, err = conn.Set(o.Path, []byte(o.Data), o.Version)
	case history.Delete:
		err = conn.Delete(o.Path, o.Version)
	default:
		if _, err = conn.Sync(o.Path); err == nil {
			var data []byte
			data, stat, err = conn.Get(o.Path)
			o.ReadData = string(data)
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, gozk.ErrNoNode):
		o.Code = zk.ErrNoNode
	case errors.Is(err, gozk.ErrNodeExists):
		o.Code = zk.ErrNodeExists
	case errors.Is(err, gozk.ErrBadVersion):
		o.Code = zk.ErrBadVersion
	default:
		return // no answer
	}
	if stat != nil {
		o.Stat.Version = stat.Version
	}
	o.Return = k.now()
	if o.Kind != history.Read {
		k.acked.Add(1)
	}
}
