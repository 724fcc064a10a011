package oracle

import (
	"fmt"
	"strconv"
	"strings"

	"gopherwood/zk"
)

// Step is one thing that one client does. Which fields count depends on the verb.
type Step struct {
	Client  string
	Verb    string
	Path    string
	Data    []byte // nil is null
	Fill    int    // so many bytes instead of Data, if not 0
	ACL     []zk.ACL
	Flags   int32
	TTL     int64 // ms
	Version int32
	Watch   bool
	Mode    int32 // of addWatch; the type of checkWatches and removeWatches
	Rel     string
	Paths   [5][]string // of setWatches: data, exist, child, persistent, recursive
	Members []Step
	Code    int32  // of raw
	Body    []byte // of raw
	Scheme  string // of auth
	ID      string // of auth
	Chroot  string // of open
	Timeout int32  // of open and reconnect, ms; 0 is sessionMs
}

// anyone is the ACL that is meant when a script names none.
var anyone = []zk.ACL{{Perms: zk.PermAll, ID: zk.ID{Scheme: "world", ID: "anyone"}}}

// listKeys are the keys of Paths.
var listKeys = [5]string{"data", "exist", "child", "persistent", "recursive"}

// opcodes are the operations that have a verb.
var opcodes = map[string]zk.OpCode{
	"create": zk.OpCreate, "create2": zk.OpCreate2, "createContainer": zk.OpCreateContainer, "createTTL": zk.OpCreateTTL,
	"delete": zk.OpDelete, "exists": zk.OpExists, "getData": zk.OpGetData, "setData": zk.OpSetData, "getACL": zk.OpGetACL, "setACL": zk.OpSetACL,
	"getChildren": zk.OpGetChildren, "getChildren2": zk.OpGetChildren2, "sync": zk.OpSync, "ping": zk.OpPing, "multi": zk.OpMulti,
	"multiRead": zk.OpMultiRead, "check": zk.OpCheck, "checkWatches": zk.OpCheckWatches, "removeWatches": zk.OpRemoveWatches,
	"addWatch": zk.OpAddWatch, "setWatches": zk.OpSetWatches, "setWatches2": zk.OpSetWatches2, "getEphemerals": zk.OpGetEphemerals,
	"getAllChildrenNumber": zk.OpGetAllChildrenNumber, "whoAmI": zk.OpWhoAmI, "auth": zk.OpAuth, "close": zk.OpCloseSession,
}

// isWrite says whether the reply's zxid is the request's own.
func (s *Step) isWrite() bool {
	switch opcodes[s.Verb] {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL, zk.OpDelete, zk.OpSetData, zk.OpSetACL, zk.OpMulti, zk.OpCloseSession:
		return true
	}
	return false
}

// isSetWatches says whether Paths count.
func (s *Step) isSetWatches() bool { return strings.HasPrefix(s.Verb, "setWatches") }

// hasPath says whether the verb is followed by a path.
func (s *Step) hasPath() bool {
	switch s.Verb {
	case "open", "reconnect", "move", "badpass", "future", "expire", "close", "raw", "ping", "multi", "multiRead", "setWatches", "setWatches2", "whoAmI", "auth":
		return false
	}
	return true
}

// String is the step as a script has it, members on lines of their own, without a newline at the end.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Client + " " + s.line())
	for i := range s.Members {
		b.WriteString("\n  " + s.Members[i].line())
	}
	return b.String()
}

func (s *Step) line() string {
	words := []string{s.Verb}
	if s.hasPath() {
		words = append(words, quoted(s.Path))
	}
	put := func(key, value string) { words = append(words, key+"="+quoted(value)) }
	number := func(key string, v, unless int64) {
		if v != unless {
			put(key, strconv.FormatInt(v, 10))
		}
	}
	switch s.Verb {
	case "create", "create2", "createContainer", "createTTL", "setData":
		s.putData(put)
	}
	switch s.Verb {
	case "create", "create2", "createContainer", "createTTL", "setACL":
		s.putACL(put)
	}
	number("flags", int64(s.Flags), 0)
	number("ttl", s.TTL, 0)
	switch s.Verb {
	case "delete", "setData", "setACL", "check":
		number("version", int64(s.Version), -1)
	}
	number("mode", int64(s.Mode), 0)
	number("code", int64(s.Code), 0)
	number("timeout", int64(s.Timeout), 0)
	for _, f := range []struct{ key, value string }{{"rel", s.Rel}, {"scheme", s.Scheme}, {"id", s.ID}, {"chroot", s.Chroot}} {
		if f.value != "" {
			put(f.key, f.value)
		}
	}
	if s.Body != nil {
		put("body", fmt.Sprintf("%x", s.Body))
	}
	for i, list := range s.Paths {
		if len(list) > 0 {
			put(listKeys[i], strings.Join(list, ","))
		}
	}
	if s.Watch {
		words = append(words, "watch")
	}
	return strings.Join(words, " ")
}

func (s *Step) putData(put func(key, value string)) {
	switch {
	case s.Fill != 0:
		put("fill", strconv.Itoa(s.Fill))
	case s.Data == nil:
		put("data", "null")
	case string(s.Data) == "null":
		panic("oracle: data that a script cannot hold")
	case len(s.Data) > 0:
		put("data", string(s.Data))
	}
}

func (s *Step) putACL(put func(key, value string)) {
	if s.ACL == nil {
		put("acl", "null")
		return
	}
	list := formatACL(s.ACL)
	if list != formatACL(anyone) {
		put("acl", list)
	}
}

func formatACL(acl []zk.ACL) string {
	list := make([]string, len(acl))
	for i, a := range acl {
		list[i] = fmt.Sprintf("%d:%s:%s", a.Perms, a.ID.Scheme, a.ID.ID)
	}
	return strings.Join(list, ",")
}

// quoted is v as it is if it is plain, else in quotes.
func quoted(v string) string {
	for _, c := range v {
		if c <= ' ' || c == '"' || c == '\\' || c == '#' || c > '~' {
			return strconv.Quote(v)
		}
	}
	if v == "" {
		return `""`
	}
	return v
}

// Format is a whole script.
func Format(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String() + "\n")
	}
	return b.String()
}
