package sim

import (
	"bytes"
	"slices"
	"strings"

	"gopherwood/internal/watch"
	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// What every reply and event is checked for, as it comes to the client:
//
//   - Replies come in the order of the requests. A session's zxids never go back, on any server, and those of its writes rise.
//   - A reply to a write is what came of this very write, the next one of the connection, at the zxid that it names.
//   - A read shows what was there at the zxid that it names; a sync has caught up with everything that was applied anywhere when it was sent.
//   - Of the events between two frames of a connection exactly those come that one of its watches waits for, once, in order, and before a reply
//     that shows what they tell of.
//   - Watches that are armed again tell what was missed, by the state at the zxid of the reply.

// reply handles one frame of a connection that has its session.
func (k *zkLink) reply(frame []byte) {
	s := k.client.sim
	d := wire.NewDecoder(frame)
	var h wire.ReplyHeader
	h.Decode(&d)
	if d.Err() != nil {
		k.fail("gets a reply without a header: %x", frame)
	}
	if h.Xid == zk.XidNotification {
		k.event(&h, &d)
		return
	}
	if len(k.calls) == 0 || k.calls[0].xid != h.Xid {
		k.fail("gets a reply to %d, and has %d requests under way, the oldest %d", h.Xid, len(k.calls), k.oldest())
	}
	call := k.calls[0]
	k.calls = k.calls[1:]
	s.stats.Swarm.Replies++
	r := &zkReply{zxid: h.Zxid, code: h.Err}
	if call.op == zk.OpAuth {
		if h.Err != zk.OK {
			k.fail("is not authenticated: %v", h.Err)
		}
		return
	}
	if h.Err == zk.ErrSessionExpired {
		if l := s.swarm.chronicle.sessions[k.session.id]; l.closed == 0 {
			k.fail("is told by a reply that its session has expired, and it has not")
		}
		return
	}
	if call.op == zk.OpSetWatches || call.op == zk.OpSetWatches2 {
		k.rearmedReply(call, h.Zxid)
	}
	k.advance(call, h.Zxid)
	k.outcome(call, r, &d)
	if d.Err() != nil || d.Remaining() > 0 {
		k.fail("gets a reply to operation %d that does not decode: %v, %d bytes left", call.op, d.Err(), d.Remaining())
	}
	if call.then != nil {
		call.then(r)
	}
	if call.last {
		k.client.idle = true
	}
}

func (k *zkLink) oldest() int32 {
	if len(k.calls) == 0 {
		return 0
	}
	return k.calls[0].xid
}

// advance goes on to the zxid of a reply. No event up to it may be missing.
func (k *zkLink) advance(call *zkCall, zxid int64) {
	s := k.client.sim
	h := s.swarm.chronicle
	writes := len(call.ops) > 0 || call.op == zk.OpCloseSession
	switch {
	case zxid > h.tree.LastZxid():
		k.fail("gets a reply to operation %d at zxid %x, and the last that was applied anywhere is %x", call.op, zxid, h.tree.LastZxid())
	case zxid < k.session.lastZxid || zxid == k.session.lastZxid && writes:
		k.fail("gets a reply to operation %d at zxid %x after one at %x", call.op, zxid, k.session.lastZxid)
	}
	for k.cursor < len(h.events) && h.events[k.cursor].zxid <= zxid {
		e := h.events[k.cursor]
		k.cursor++
		if k.fires(e.kind, e.path) {
			k.fail("gets the reply to operation %d %s at zxid %x and has not been told that %s was %s at zxid %x", call.op, call.path, zxid, e.path, eventName(e.kind), e.zxid)
		}
	}
	k.session.lastZxid = zxid
}

func eventName(t zk.EventType) string {
	return map[zk.EventType]string{zk.EventNodeCreated: "created", zk.EventNodeDeleted: "deleted", zk.EventNodeDataChanged: "changed", zk.EventNodeChildrenChanged: "changed in its children"}[t]
}

// event checks that an event is the next one that the connection waits for.
func (k *zkLink) event(r *wire.ReplyHeader, d *wire.Decoder) {
	s := k.client.sim
	var ev wire.WatcherEvent
	ev.Decode(d)
	if d.Err() != nil || d.Remaining() > 0 || ev.State != zk.StateSyncConnected || r.Err != zk.OK {
		k.fail("gets an event that makes no sense: %v %+v %+v", d.Err(), ev, r)
	}
	s.stats.Swarm.Events++
	if r.Zxid == -1 {
		k.missed = append(k.missed, happening{-1, ev.Type, ev.Path})
		return
	}
	h := s.swarm.chronicle
	for ; k.cursor < len(h.events); k.cursor++ {
		e := h.events[k.cursor]
		if e.zxid > r.Zxid {
			break
		}
		hit := k.fires(e.kind, e.path)
		if e.zxid == r.Zxid && e.kind == ev.Type && e.path == ev.Path {
			if !hit {
				break
			}
			k.cursor++
			k.used(ev.Type, ev.Path)
			k.client.lock.event(ev.Path)
			return
		}
		if hit {
			k.fail("is told that %s was %s at zxid %x before it is told that %s was %s at zxid %x", ev.Path, eventName(ev.Type), r.Zxid, e.path, eventName(e.kind), e.zxid)
		}
	}
	k.fail("is told that %s was %s at zxid %x, and waits for no such event", ev.Path, eventName(ev.Type), r.Zxid)
}

// fires says whether one of the server's watches of this connection waits for an event, and uses it up if it is one-shot.
func (k *zkLink) fires(t zk.EventType, path string) bool {
	var match watch.Kind
	switch t {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		match = watch.Data | watch.Persistent | watch.Recursive
	case zk.EventNodeDeleted:
		match = watch.Data | watch.Child | watch.Persistent | watch.Recursive
	case zk.EventNodeChildrenChanged:
		match = watch.Child | watch.Persistent
	}
	kinds := k.watches[path]
	hit := kinds&match != 0
	if hit {
		k.set(path, kinds&^(match&(watch.Data|watch.Child)))
	}
	for match&watch.Recursive != 0 && !hit && path != "/" {
		path = zk.Parent(path)
		hit = k.watches[path]&watch.Recursive != 0
	}
	return hit
}

func (k *zkLink) set(path string, kinds watch.Kind) {
	if kinds == 0 {
		delete(k.watches, path)
	} else {
		k.watches[path] = kinds
	}
}

// used takes the one-shot watches that an event has used up out of the library's book.
func (k *zkLink) used(t zk.EventType, path string) {
	gone := watch.Data
	switch t {
	case zk.EventNodeDeleted:
		gone = watch.Data | watch.Child
	case zk.EventNodeChildrenChanged:
		gone = watch.Child
	}
	k.disarm(path, gone)
}

func (k *zkLink) disarm(path string, gone watch.Kind) {
	if a := k.session.armed[path]; a != nil {
		if a.kinds &^= gone; a.kinds == 0 {
			delete(k.session.armed, path)
		}
	}
}

// arm notes a watch that a reply has left.
func (k *zkLink) arm(path string, kind watch.Kind, exist bool) {
	k.watches[path] |= kind
	a := k.session.armed[path]
	if a == nil {
		a = &armed{}
		k.session.armed[path] = a
	}
	a.kinds |= kind
	if kind == watch.Data {
		a.exist = exist
	}
}

// rearmedReply checks what a setWatches has told, and arms the rest.
func (k *zkLink) rearmedReply(call *zkCall, zxid int64) {
	h := k.client.sim.swarm.chronicle
	var want []happening
	miss := func(t zk.EventType, path string) {
		want = append(want, happening{-1, t, path})
	}
	for _, w := range call.rearm {
		v := h.at(w.path, zxid)
		switch {
		case w.kind == watch.Data && w.exist:
			if v.exists {
				miss(zk.EventNodeCreated, w.path)
				continue
			}
		case w.kind == watch.Data && !v.exists, w.kind == watch.Child && !v.exists:
			miss(zk.EventNodeDeleted, w.path)
			continue
		case w.kind == watch.Data && v.stat.Mzxid > call.since:
			miss(zk.EventNodeDataChanged, w.path)
			continue
		case w.kind == watch.Child && v.stat.Pzxid > call.since:
			miss(zk.EventNodeChildrenChanged, w.path)
			continue
		}
		k.watches[w.path] |= w.kind
	}
	if !slices.Equal(want, k.missed) {
		k.fail("arms its watches again, since zxid %x, at zxid %x, and is told %v instead of %v", call.since, zxid, k.missed, want)
	}
	for _, e := range k.missed {
		k.used(e.kind, e.path)
		k.client.lock.event(e.path)
	}
	k.client.sim.stats.Swarm.Missed += len(k.missed)
	k.missed = nil
	k.cursor = max(k.cursor, h.firstEvent(zxid)) // earlier ones concern none of these
}

// outcome checks a reply's record.
func (k *zkLink) outcome(call *zkCall, r *zkReply, d *wire.Decoder) {
	s := k.client.sim
	if len(k.missed) > 0 {
		k.fail("is told %v, and has armed nothing again", k.missed)
	}
	switch {
	case len(call.ops) > 0:
		s.stats.Swarm.Writes++
		k.wrote(call, r, d)
	case call.op == zk.OpCloseSession:
		k.closed(r)
	case call.op == zk.OpSync:
		s.stats.Swarm.Syncs++
		if path := d.String(); path != call.path || r.code != zk.OK {
			k.fail("gets %s and %v in reply to a sync of %s", path, r.code, call.path)
		}
		k.caughtUp(call, r)
	case call.op == zk.OpAddWatch:
		if code := zk.Code(d.Int32()); code != zk.OK || r.code != zk.OK {
			k.fail("gets %v and %v in reply to addWatch", r.code, code)
		}
		k.arm(call.path, []watch.Kind{watch.Persistent, watch.Recursive}[call.kind], false)
	case call.op == zk.OpRemoveWatches, call.op == zk.OpCheckWatches:
		k.checkedWatches(call, r)
	case call.op != zk.OpPing && call.op != zk.OpSetWatches && call.op != zk.OpSetWatches2:
		s.stats.Swarm.Reads++
		if s.sp.config.LinearizableReads {
			k.caughtUp(call, r)
		}
		k.read(call, r, d)
	}
}

// caughtUp checks that a server has applied what was applied anywhere when the request was sent.
func (k *zkLink) caughtUp(call *zkCall, r *zkReply) {
	if r.zxid < call.floor {
		k.fail("gets the reply to operation %d at zxid %x, and %x was applied when it was sent", call.op, r.zxid, call.floor)
	}
}

func (k *zkLink) checkedWatches(call *zkCall, r *zkReply) {
	want := zk.OK
	kinds := k.watches[call.path]
	if kinds&selects(call.kind) == 0 {
		want = zk.ErrNoWatcher
	}
	if r.code != want {
		k.fail("gets %v in reply to operation %d on %s and type %d, and has there %x", r.code, call.op, call.path, call.kind, kinds)
	}
	if call.op == zk.OpRemoveWatches && want == zk.OK {
		k.set(call.path, kinds&^selects(call.kind))
		k.disarm(call.path, selects(call.kind))
	}
}

// closed checks the reply to the end of a session.
func (k *zkLink) closed(r *zkReply) {
	l := k.client.sim.swarm.chronicle.sessions[k.session.id]
	if r.code != zk.OK || l.closed != r.zxid {
		k.fail("has ended its session, is answered %v at zxid %x, and it has ended at %x", r.code, r.zxid, l.closed)
	}
	c := k.client
	c.endSession()
	c.lost()
	k.line.hangUp()
}

// wrote checks the reply to a write.
func (k *zkLink) wrote(call *zkCall, r *zkReply, d *wire.Decoder) {
	w := k.client.sim.swarm.chronicle.writes[r.zxid]
	switch {
	case w == nil:
		k.fail("has write %d acknowledged at zxid %x, where there is none", call.number, r.zxid)
	case w.link != k || w.number != call.number:
		k.fail("has write %d acknowledged at zxid %x, where another is", call.number, r.zxid)
	case w.code != r.code:
		k.fail("has write %d answered with %v, and what came of it is %v", call.number, r.code, w.code)
	case r.code != zk.OK:
		return
	}
	if call.op == zk.OpMulti {
		k.wroteMulti(w, d)
		return
	}
	switch call.op {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		r.path = d.String()
		if r.path != w.path {
			k.fail("has created %s and is told %s", w.path, r.path)
		}
		k.client.learn(r.path)
	}
	if call.op != zk.OpDelete && call.op != zk.OpCreate {
		var stat zk.Stat
		d.Stat(&stat)
		if stat != w.stat {
			k.fail("has %+v in reply to write %d, and it is %+v", stat, call.number, w.stat)
		}
	}
}

func (k *zkLink) wroteMulti(w *written, d *wire.Decoder) {
	var m wire.MultiResponse
	m.Decode(d)
	if len(m.Results) != len(w.ops) {
		k.fail("has %d results of a multi of %d", len(m.Results), len(w.ops))
	}
	for i := range m.Results {
		got, want := &m.Results[i], &w.ops[i]
		if got.Type != want.Type || got.Type == zk.OpError && got.Err != want.Code || got.Path != "" && got.Path != want.Path || got.Stat != (zk.Stat{}) && got.Stat != want.Stat {
			k.fail("has as result %d of a multi %+v instead of %+v", i, got, want)
		}
		k.client.learn(strings.Clone(got.Path))
	}
}

// read checks the reply to a read against what was there.
func (k *zkLink) read(call *zkCall, r *zkReply, d *wire.Decoder) {
	h := k.client.sim.swarm.chronicle
	v := h.at(call.path, r.zxid)
	if call.op == zk.OpGetEphemerals {
		k.readEphemerals(r, d)
		return
	}
	if call.op == zk.OpMultiRead {
		k.readMulti(call, r, d)
		return
	}
	want := zk.OK
	if !v.exists {
		want = zk.ErrNoNode
	}
	if r.code != want {
		k.fail("reads %s with operation %d at zxid %x and gets %v instead of %v", call.path, call.op, r.zxid, r.code, want)
	}
	if call.left && (want == zk.OK || call.op == zk.OpExists) {
		kind := watch.Data
		if call.op == zk.OpGetChildren || call.op == zk.OpGetChildren2 {
			kind = watch.Child
		}
		k.arm(call.path, kind, want != zk.OK)
	}
	if want != zk.OK {
		return
	}
	var stat zk.Stat
	switch call.op {
	case zk.OpGetData:
		k.sameData(call.path, r.zxid, &v, d.Buffer())
		d.Stat(&stat)
	case zk.OpExists:
		d.Stat(&stat)
	case zk.OpGetChildren, zk.OpGetChildren2:
		r.children = k.sameChildren(call.path, r.zxid, d.Strings(nil))
		stat = v.stat
		if call.op == zk.OpGetChildren2 {
			d.Stat(&stat)
		}
	case zk.OpGetACL:
		if acl := d.ACLs(nil); !slices.Equal(acl, zk.OpenACL()) {
			k.fail("reads the ACL of %s and gets %v", call.path, acl)
		}
		d.Stat(&stat)
	case zk.OpGetAllChildrenNumber:
		stat = v.stat
		if got, want := d.Int32(), h.below(call.path, r.zxid); got != want {
			k.fail("counts %d nodes below %s at zxid %x, and there are %d", got, call.path, r.zxid, want)
		}
	}
	if stat != v.stat {
		k.fail("reads %s with operation %d at zxid %x and gets %+v instead of %+v", call.path, call.op, r.zxid, stat, v.stat)
	}
}

func (k *zkLink) sameData(path string, zxid int64, v *version, got []byte) {
	if !bytes.Equal(got, v.data) || (got == nil) != (v.data == nil) {
		k.fail("reads %s at zxid %x and gets %.40q instead of %.40q", path, zxid, got, v.data)
	}
}

// sameChildren compares and returns a node's children, sorted.
func (k *zkLink) sameChildren(path string, zxid int64, got []string) []string {
	slices.Sort(got)
	if want := k.client.sim.swarm.chronicle.childrenAt(path, zxid); !slices.Equal(got, want) {
		k.fail("reads the children of %s at zxid %x and gets %v instead of %v", path, zxid, got, want)
	}
	if len(got) > 0 {
		k.client.learn(zk.Join(path, got[k.client.sim.zkRand.IntN(len(got))]))
	}
	return got
}

func (k *zkLink) readEphemerals(r *zkReply, d *wire.Decoder) {
	got := d.Strings(nil)
	slices.Sort(got)
	want := k.client.sim.swarm.chronicle.ephemeralsAt(k.session.id, r.zxid)
	if r.code != zk.OK || !slices.Equal(got, want) {
		k.fail("reads its ephemeral nodes at zxid %x and gets %v %v instead of %v", r.zxid, r.code, got, want)
	}
	r.children = got
}

func (k *zkLink) readMulti(call *zkCall, r *zkReply, d *wire.Decoder) {
	var m wire.MultiResponse
	m.Decode(d)
	if r.code != zk.OK || len(m.Results) != len(call.reads) {
		k.fail("has %v and %d results of %d reads", r.code, len(m.Results), len(call.reads))
	}
	for i := range m.Results {
		got, o := &m.Results[i], &call.reads[i]
		v := k.client.sim.swarm.chronicle.at(o.Path, r.zxid)
		switch {
		case !v.exists:
			if got.Type != zk.OpError || got.Err != zk.ErrNoNode {
				k.fail("reads %s in a multiRead at zxid %x, where it is not, and gets %+v", o.Path, r.zxid, got)
			}
		case got.Type != o.Type:
			k.fail("reads %s in a multiRead at zxid %x and gets %+v", o.Path, r.zxid, got)
		case o.Type == zk.OpGetData:
			k.sameData(o.Path, r.zxid, &v, got.Data)
			if got.Stat != v.stat {
				k.fail("reads %s in a multiRead at zxid %x and gets %+v instead of %+v", o.Path, r.zxid, got.Stat, v.stat)
			}
		default:
			k.sameChildren(o.Path, r.zxid, slices.Clone(got.Children))
		}
	}
}
