package history

import (
	"strings"

	"gopherwood/zk"
)

// Watcher is one connection with a persistent recursive watch on the folder Prefix, as a list of what came over it.
type Watcher struct {
	Prefix string
	Armed  int64 // zxid of the reply that set the watch
	Frames []Frame
}

// Frame is an event, or, if Type is 0, the answer to a read, which shows the state at its zxid.
type Frame struct {
	Zxid int64
	Type zk.EventType
	Path string
}

// change is what an event is about. The end of a session changes several nodes at one zxid.
type change struct {
	zxid int64
	path string
}

// Watches checks what persistent recursive watches told: every change that was acknowledged, once, in the order of the zxids, and never after a
// read that shows it.
func Watches(h *History) []Violation {
	v := verdicts{check: "watches"}
	writes := h.writesByZxid()
	for i := range h.Watchers {
		w := &h.Watchers[i]
		told := make(map[change]zk.EventType)
		var last Frame
		shown := w.Armed
		for _, f := range w.Frames {
			if f.Type == 0 {
				shown = max(shown, f.Zxid)
				continue
			}
			if f.Zxid <= shown {
				v.say("watcher %d: event %+v comes after a reply of zxid %d", i, f, shown)
			}
			if f.Zxid < last.Zxid {
				v.say("watcher %d: event %+v comes after %+v", i, f, last)
			}
			if _, twice := told[change{f.Zxid, f.Path}]; twice {
				v.say("watcher %d: one change, two events: %+v", i, f)
			}
			told[change{f.Zxid, f.Path}], last = f.Type, f
		}
		for _, o := range writes {
			if o.Zxid <= w.Armed || o.Zxid > shown || !strings.HasPrefix(o.Path, w.Prefix+"/") || o.Code != zk.OK || o.Kind == Close {
				continue
			}
			path := o.Path
			if o.Kind == Create {
				path = o.Made
			}
			if t := told[change{o.Zxid, path}]; t != eventOf(o.Kind) {
				v.say("watcher %d, armed at zxid %d, shown %d: %v; its event has type %d, 0 for none", i, w.Armed, shown, o, t)
			}
		}
	}
	return v.found
}

// eventOf is what a watch says of a write.
func eventOf(k Kind) zk.EventType {
	switch k {
	case Create:
		return zk.EventNodeCreated
	case Delete:
		return zk.EventNodeDeleted
	default:
		return zk.EventNodeDataChanged
	}
}
