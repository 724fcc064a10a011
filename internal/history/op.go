package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gopherwood/zk"
)

// Kind is what an operation does.
type Kind uint8

// The kinds. Close ends the session; Expired is no request: it stands for the server's word that the session has ended, and has no zxid.
const (
	Create Kind = iota + 1
	Set
	Delete
	Read
	Close
	Expired
)

var kindNames = [...]string{Create: "create", Set: "set", Delete: "delete", Read: "read", Close: "close", Expired: "expired"}

// String is the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Never is the time of an answer that did not come.
const Never = math.MaxInt64

// Op is one operation of one client.
type Op struct {
	Session int64
	Kind    Kind
	Path    string // asked for; of a sequential create without the number
	Data    string // of create and set; unique in the history
	Version int32  // that set and delete expect; -1: any
	Mode    zk.CreateMode
	// Synced says that a sync on the same connection came before this read; Call is that of the sync.
	Synced bool

	Call, Return int64 // ns; Return is Never without an answer

	// The answer. A Zxid of 0 with an answer: the client hides it, and the checks by zxid pass over the path.

	Zxid     int64
	Code     zk.Code
	Stat     zk.Stat // of set and read
	ReadData string  // of read
	Made     string  // path that create made
}

// Answered says whether the outcome is known.
func (o *Op) Answered() bool { return o.Return != Never }

// isWrite says whether the operation takes a zxid of its own.
func (o *Op) isWrite() bool { return o.Kind != Read && o.Kind != Expired }

// String is one line for people.
func (o *Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "session %x %v", o.Session, o.Kind)
	if o.Path != "" {
		fmt.Fprintf(&b, " %s", o.Path)
	}
	switch o.Kind {
	case Create:
		fmt.Fprintf(&b, " %q mode %d", o.Data, o.Mode)
	case Set:
		fmt.Fprintf(&b, " %q if version %d", o.Data, o.Version)
	case Delete:
		fmt.Fprintf(&b, " if version %d", o.Version)
	}
	if o.Synced {
		b.WriteString(" after a sync")
	}
	if !o.Answered() {
		fmt.Fprintf(&b, " asked at %d ns: no answer", o.Call)
		return b.String()
	}
	fmt.Fprintf(&b, " from %d to %d ns: zxid %d", o.Call, o.Return, o.Zxid)
	switch {
	case o.Code != zk.OK:
		fmt.Fprintf(&b, ", %v", o.Code)
	case o.Kind == Read:
		fmt.Fprintf(&b, ", %q version %d czxid %d mzxid %d owner %x", o.ReadData, o.Stat.Version, o.Stat.Czxid, o.Stat.Mzxid, o.Stat.EphemeralOwner)
	case o.Kind == Set:
		fmt.Fprintf(&b, ", version %d czxid %d", o.Stat.Version, o.Stat.Czxid)
	case o.Kind == Create:
		fmt.Fprintf(&b, ", made %s", o.Made)
	}
	return b.String()
}

// Client is one client's operations, in the order in which it sent them.
type Client struct {
	Ops []Op
}

// History is what all clients saw.
type History struct {
	Clients  []Client
	Watchers []Watcher
}

// Violation is something that no correct ensemble does.
type Violation struct {
	Check string // which one found it
	What  string
}

// String names the check that failed and what it saw.
func (v Violation) String() string { return v.Check + ": " + v.What }

// verdicts gathers what one check finds.
type verdicts struct {
	check string
	found []Violation
}

func (v *verdicts) say(format string, args ...any) {
	if len(v.found) < maxViolations {
		v.found = append(v.found, Violation{v.check, fmt.Sprintf(format, args...)})
	}
}

// Ops is the number of operations.
func (h *History) Ops() (n int) {
	for i := range h.Clients {
		n += len(h.Clients[i].Ops)
	}
	return n
}

// all calls f with every operation.
func (h *History) all(f func(o *Op)) {
	for i := range h.Clients {
		for j := range h.Clients[i].Ops {
			f(&h.Clients[i].Ops[j])
		}
	}
}

// byPath returns the operations on nodes that are not sequential, by path, and the paths in order.
func (h *History) byPath() (map[string][]*Op, []string) {
	of := make(map[string][]*Op)
	h.all(func(o *Op) {
		if o.Path != "" && !o.Mode.IsSequential() {
			of[o.Path] = append(of[o.Path], o)
		}
	})
	paths := make([]string, 0, len(of))
	for p := range of {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return of, paths
}

// writesByZxid returns the answered writes whose zxid is known, in its order.
func (h *History) writesByZxid() []*Op {
	var writes []*Op
	h.all(func(o *Op) {
		if o.isWrite() && o.Answered() && o.Zxid != 0 {
			writes = append(writes, o)
		}
	})
	slices.SortStableFunc(writes, func(a, b *Op) int { return cmp.Compare(a.Zxid, b.Zxid) })
	return writes
}
