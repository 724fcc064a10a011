package oracle

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// shower turns what a server sends into text. Zxids stay as marks (normal.go) until the whole run is known.
type shower struct {
	sessions  map[int64]string         // ruleSession: id to its number in the run
	shorten   func(path string) string // a server's path as a script has it
	startedMs int64                    // when the run began
}

// text is a reply's body in words. One that has bytes left over, or too few, says so: that is a difference too.
func (w *shower) text(s *Step, body []byte) string {
	d := wire.NewDecoder(body)
	text := w.record(s.Verb, &d)
	switch {
	case d.Err() != nil:
		return fmt.Sprintf("unreadable, %d bytes: %x", len(body), body[:min(len(body), shownBytes)])
	case d.Remaining() > 0:
		return fmt.Sprintf("%s and %d bytes more", text, d.Remaining())
	}
	return text
}

func (w *shower) record(verb string, d *wire.Decoder) string {
	var stat zk.Stat
	switch verb {
	case "create":
		return "path=" + quoted(w.shorten(d.String()))
	case "create2", "createContainer", "createTTL":
		path := d.String()
		d.Stat(&stat)
		return "path=" + quoted(w.shorten(path)) + " " + w.stat(&stat)
	case "exists", "setData", "setACL", "check":
		d.Stat(&stat)
		return w.stat(&stat)
	case "getData":
		data := d.Buffer()
		d.Stat(&stat)
		return data2text(data) + " " + w.stat(&stat)
	case "getACL":
		acl := d.ACLs(nil)
		d.Stat(&stat)
		return "acl=" + quoted(formatACL(settled(acl))) + " " + w.stat(&stat)
	case "getChildren":
		return "children=" + w.set(d.Strings(nil))
	case "getChildren2":
		children := d.Strings(nil)
		d.Stat(&stat)
		return "children=" + w.set(children) + " " + w.stat(&stat)
	case "getEphemerals":
		paths := d.Strings(nil)
		for i := range paths {
			paths[i] = w.shorten(paths[i])
		}
		return "paths=" + w.set(paths)
	case "getAllChildrenNumber", "addWatch":
		return "number=" + strconv.Itoa(int(d.Int32()))
	case "sync":
		return "path=" + quoted(w.shorten(d.String()))
	case "whoAmI":
		return whoAmI(d)
	case "multi", "multiRead":
		return w.results(d)
	case "raw":
		return fmt.Sprintf("%d bytes", skip(d))
	}
	return ""
}

// settled is an ACL with entries of the same permissions, if next to each other, in the order of their text (ruleSet): that is what auth becomes for a
// client with several identities, which ZooKeeper keeps in a hash set.
func settled(acl []zk.ACL) []zk.ACL {
	for i := 0; i < len(acl); {
		j := i + 1
		for j < len(acl) && acl[j].Perms == acl[i].Perms {
			j++
		}
		slices.SortFunc(acl[i:j], func(a, b zk.ACL) int {
			return cmp.Or(strings.Compare(a.ID.Scheme, b.ID.Scheme), strings.Compare(a.ID.ID, b.ID.ID))
		})
		i = j
	}
	return acl
}

// skip reads all that is left.
func skip(d *wire.Decoder) int {
	n := d.Remaining()
	for d.Remaining() > 0 {
		d.Bool()
	}
	return n
}

func whoAmI(d *wire.Decoder) string {
	var r wire.WhoAmIResponse
	r.Decode(d)
	ids := make([]string, len(r.ClientInfo))
	for i, c := range r.ClientInfo {
		ids[i] = c.AuthScheme + ":" + c.User
	}
	slices.Sort(ids) // ruleSet: ZooKeeper keeps identities in a hash set
	return "ids=" + quoted(strings.Join(ids, ","))
}

// results are those of a multi, one a line.
func (w *shower) results(d *wire.Decoder) string {
	var b strings.Builder
	var h wire.MultiHeader
	for {
		h.Decode(d)
		if d.Err() != nil {
			return b.String()
		}
		if h.Done {
			fmt.Fprintf(&b, "\n  end type=%d err=%d", h.Type, h.Err)
			return b.String()
		}
		fmt.Fprintf(&b, "\n  type=%d err=%d %s", h.Type, h.Err, w.result(h.Type, d))
	}
}

func (w *shower) result(t zk.OpCode, d *wire.Decoder) string {
	switch t {
	case zk.OpError:
		return "code=" + strconv.Itoa(int(d.Int32()))
	case zk.OpCreate:
		return w.record("create", d)
	case zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		return w.record("create2", d)
	case zk.OpSetData:
		return w.record("setData", d)
	case zk.OpGetData:
		return w.record("getData", d)
	case zk.OpGetChildren:
		return w.record("getChildren", d)
	}
	return ""
}

// set is names in the order of their bytes (ruleSet), null apart from empty.
func (w *shower) set(names []string) string {
	if names == nil {
		return "null"
	}
	slices.Sort(names)
	return quoted(strings.Join(names, ","))
}

func (w *shower) stat(s *zk.Stat) string {
	return fmt.Sprintf("c=%s m=%s p=%s v=%d cv=%d av=%d owner=%s len=%d n=%d %s", exact(s.Czxid), exact(s.Mzxid), exact(s.Pzxid),
		s.Version, s.Cversion, s.Aversion, w.session(s.EphemeralOwner), s.DataLength, s.NumChildren, w.times(s))
}

// times is ruleTime: created during the run, not changed before that, nor in the future. Nodes that no
// transaction has created have other times.
func (w *shower) times(s *zk.Stat) string {
	now := time.Now().UnixMilli()
	switch {
	case s.Czxid == 0:
		return "t=-"
	case s.Ctime < w.startedMs-timeSlackMs || s.Mtime < s.Ctime || s.Mtime > now+timeSlackMs:
		return fmt.Sprintf("t=wrong(%d,%d)", s.Ctime-w.startedMs, s.Mtime-w.startedMs)
	case s.Mzxid == s.Czxid && s.Mtime != s.Ctime:
		return "t=wrong(changed, but not by a transaction)"
	}
	return "t=ok"
}

// session is ruleSession.
func (w *shower) session(id int64) string {
	if id == 0 {
		return "0"
	}
	if name, ok := w.sessions[id]; ok {
		return name
	}
	return "stranger"
}

// event is a watch event.
func (w *shower) event(zxid int64, body []byte) string {
	d := wire.NewDecoder(body)
	var e wire.WatcherEvent
	e.Decode(&d)
	if d.Err() != nil || d.Remaining() > 0 {
		return fmt.Sprintf("event, unreadable: %x", body)
	}
	return fmt.Sprintf("event type=%d state=%d %s zxid=%s", e.Type, e.State, quoted(w.shorten(e.Path)), exact(zxid))
}

func data2text(data []byte) string {
	switch {
	case data == nil:
		return "data=null"
	case len(data) <= shownBytes:
		return "data=" + strconv.Quote(string(data))
	}
	return fmt.Sprintf("data=%d bytes, sum %08x", len(data), crc32.ChecksumIEEE(data))
}
