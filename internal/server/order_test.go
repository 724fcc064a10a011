package server

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// replies reads n frames and describes each: "xid:zxid" with the data of getData, or an event.
func (c *rawClient) replies(n int, gets map[int32]bool) []string {
	c.t.Helper()
	var got []string
	for range n {
		h, d := parseReply(c.t, c.frame())
		switch {
		case h.Xid == zk.XidNotification:
			got = append(got, eventText(h, d))
		case h.Err != zk.OK:
			got = append(got, fmt.Sprintf("%d:%v", h.Xid, h.Err))
		case gets[h.Xid]:
			data, _, _ := getReply(h, d)
			got = append(got, fmt.Sprintf("%d=%s@%d", h.Xid, data, h.Zxid))
		default:
			got = append(got, fmt.Sprintf("%d@%d", h.Xid, h.Zxid))
		}
	}
	return got
}

// TestPipeline: however the commands of a pipeline are batched, each read sees exactly the writes before it, replies come in
// order, and what follows a write in the pipeline does not come before it was applied.
func TestPipeline(t *testing.T) {
	for _, batches := range [][]int{{1, 1, 1}, {3}, {2, 1}, {1, 2}} {
		t.Run(fmt.Sprint(batches), func(t *testing.T) {
			e := newEnsemble(t, 1, nil)
			c := e.client(0)
			c.create("/a", "0", zk.ModePersistent) // xid 1, zxid 2
			e.hold()
			gets := map[int32]bool{}
			get := func(watch bool) { gets[c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a", Watch: watch})] = true }
			get(true) // 2: at once
			c.send(zk.OpSetData, setReq("/a", "1"))
			get(true)
			c.send(zk.OpPing, nil)
			c.send(zk.OpSetData, setReq("/a", "2"))
			get(false)
			c.send(zk.OpExists, &wire.ExistsRequest{Path: "/none"})
			c.send(zk.OpSetData, setReq("/a", "3"))
			get(false)

			if got := c.replies(1, gets); got[0] != "2=0@2" {
				t.Fatalf("the read before the writes: %v", got)
			}
			left := 3
			for _, n := range batches {
				e.step(left, n)
				left -= n
			}
			want := "changed /a @3|3@3|4=1@3|-2@3|changed /a @4|6@4|7=2@4|8:zk: node does not exist|9@5|10=3@5"
			if got := strings.Join(c.replies(10, gets), "|"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestSync: a sync is answered in its turn, when its barrier is reached and the writes before it are applied; reads after it
// wait for it, and a write after it is not proposed before.
func TestSync(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c, other := e.client(0), e.client(0)
	c.create("/a", "0", zk.ModePersistent) // zxid 3
	e.hold()
	e.mu.Lock()
	e.noSync = true
	e.mu.Unlock()
	gets := map[int32]bool{}
	c.send(zk.OpSetData, setReq("/a", "1")) // 2
	c.send(zk.OpSync, &wire.SyncRequest{Path: "/a"})
	gets[c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/a"})] = true
	c.send(zk.OpSetData, setReq("/a", "2")) // 5: waits

	e.await(1)
	for done := false; !done; { // the barrier was asked for
		e.mu.Lock()
		if done = len(e.syncs) == 1; !done {
			e.wake.Wait()
		}
		e.mu.Unlock()
	}
	barrier := e.syncs[0]
	e.do(func() { e.apply([]proposal{barrier}) }) // it is reached before the write is applied: no answer yet
	other.send(zk.OpSetData, setReq("/a", "other"))
	e.step(2, 1)
	if got := strings.Join(c.replies(3, gets), "|"); got != "2@4|3@4|4=1@4" {
		t.Errorf("got %s", got)
	}
	e.await(2) // only now the second write was proposed, so it is behind the other client's
	e.release()
	if got := strings.Join(c.replies(1, gets), "|"); got != "5@6" {
		t.Errorf("got %s", got)
	}
}

// TestAuthInPipeline: requests see the identities that came before them, and only those.
func TestAuthInPipeline(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	admin := e.client(0)
	id := zk.ID{Scheme: "digest", ID: e.members[0].server.digestID("joe:secret")}
	admin.must(zk.OpCreate, &wire.CreateRequest{Path: "/s", Data: []byte("x"), ACL: []zk.ACL{{Perms: zk.PermAll, ID: id}}})
	admin.create("/other", "", zk.ModePersistent)

	c := e.client(0)
	e.hold()
	c.send(zk.OpSetData, setReq("/other", "1")) // 1
	c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/s"})
	c.send(zk.OpSetData, setReq("/s", "no"))
	c.send(zk.OpAuth, &wire.AuthPacket{Scheme: "digest", Auth: []byte("joe:secret")})
	c.send(zk.OpGetData, &wire.GetDataRequest{Path: "/s"}) // 5
	c.send(zk.OpSetData, setReq("/s", "yes"))
	e.await(3)
	e.release()
	want := "1@5|2:zk: not authorised|3:zk: not authorised|-4@0|5@6|6@7"
	if got := strings.Join(c.replies(6, nil), "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestManyClients: under load from many connections at once, each client's own sequence of writes and reads is what it alone would
// see, and no watch event comes after a read that shows the change. Run it with -race.
func TestManyClients(t *testing.T) {
	const clients, rounds = 8, 60
	e := newEnsemble(t, 1, nil)
	var wg sync.WaitGroup
	for i := range clients {
		c := e.client(0)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			path := fmt.Sprintf("/n%d", i)
			c.create(path, "0", zk.ModePersistent)
			value := 0
			for range rounds {
				n := 1 + rng.IntN(20)
				frames, wants := []byte(nil), []string(nil)
				for range n {
					c.xid++
					if rng.IntN(2) == 0 {
						value++
						frames = append(frames, request1(c.xid, zk.OpSetData, setReq(path, strconv.Itoa(value)))...)
						wants = append(wants, "")
					} else {
						frames = append(frames, request1(c.xid, zk.OpGetData, &wire.GetDataRequest{Path: path, Watch: true})...)
						wants = append(wants, strconv.Itoa(value))
					}
				}
				c.write(frames)
				checkRound(c, wants, value)
			}
		})
	}
	wg.Wait()
}

// checkRound reads the replies to a pipeline. A watch that a read left must fire before anything shows a later value.
func checkRound(c *rawClient, wants []string, last int) {
	first := c.xid - int32(len(wants)) + 1
	armed, fired := false, false
	var lastZxid int64
	for i := 0; i < len(wants); {
		h, d := parseReply(c.t, c.frame())
		if h.Xid == zk.XidNotification {
			fired, armed = true, false
			continue
		}
		if h.Xid != first+int32(i) || h.Err != zk.OK || h.Zxid < lastZxid {
			c.t.Errorf("reply %d of zxid %d (%v), want %d after %d", h.Xid, h.Zxid, h.Err, first+int32(i), lastZxid)
			return
		}
		lastZxid = h.Zxid
		if wants[i] != "" {
			data, _, _ := getReply(h, d)
			if data != wants[i] {
				c.t.Errorf("request %d read %q, want %q", h.Xid, data, wants[i])
			}
			armed, fired = true, false
		} else if armed && !fired {
			c.t.Errorf("reply %d to a write came before the event of the watch that it fires", h.Xid)
		}
		i++
	}
}
