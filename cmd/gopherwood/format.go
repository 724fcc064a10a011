package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"gopherwood/zk"
)

// jsonStat is a Stat as --json prints it: zxids and sessions in hexadecimal, as ZooKeeper writes them everywhere, since
// JSON's readers lose the lower bits of long integers.
type jsonStat struct {
	Czxid          string `json:"czxid"`
	Mzxid          string `json:"mzxid"`
	Pzxid          string `json:"pzxid"`
	Ctime          string `json:"ctime"`
	Mtime          string `json:"mtime"`
	Version        int32  `json:"version"`
	Cversion       int32  `json:"cversion"`
	Aversion       int32  `json:"aversion"`
	EphemeralOwner string `json:"ephemeralOwner"`
	DataLength     int32  `json:"dataLength"`
	NumChildren    int32  `json:"numChildren"`
}

func jsonStatOf(s zk.Stat) *jsonStat {
	return &jsonStat{
		hex(s.Czxid), hex(s.Mzxid), hex(s.Pzxid), when(s.Ctime), when(s.Mtime), s.Version, s.Cversion, s.Aversion, hex(s.EphemeralOwner),
		s.DataLength, s.NumChildren,
	}
}

func hex(v int64) string { return fmt.Sprintf("%#x", uint64(v)) }

func when(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// writeStat prints a Stat with the names that ZooKeeper's shell uses.
func writeStat(w io.Writer, s zk.Stat) error {
	_, err := fmt.Fprintf(w, "cZxid = %s\nctime = %s\nmZxid = %s\nmtime = %s\npZxid = %s\ncversion = %d\ndataVersion = %d\naclVersion = %d\n"+
		"ephemeralOwner = %s\ndataLength = %d\nnumChildren = %d\n",
		hex(s.Czxid), when(s.Ctime), hex(s.Mzxid), when(s.Mtime), hex(s.Pzxid), s.Cversion, s.Version, s.Aversion, hex(s.EphemeralOwner),
		s.DataLength, s.NumChildren)
	return err
}

// jsonData is a node's data: text as it is, anything else in base64, and neither if the data was never set.
type jsonData struct {
	Data       *string `json:"data,omitempty"`
	DataBase64 *string `json:"dataBase64,omitempty"`
}

func jsonDataOf(b []byte) jsonData {
	if b == nil {
		return jsonData{}
	}
	if utf8.Valid(b) {
		s := string(b)
		return jsonData{Data: &s}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return jsonData{DataBase64: &s}
}

// permLetters is the permissions in the order in which ZooKeeper's shell prints them.
const permLetters = "cdrwa"

var permOf = map[byte]zk.Perms{'c': zk.PermCreate, 'd': zk.PermDelete, 'r': zk.PermRead, 'w': zk.PermWrite, 'a': zk.PermAdmin}

func permText(p zk.Perms) string {
	var b strings.Builder
	for i := range len(permLetters) {
		if p&permOf[permLetters[i]] != 0 {
			b.WriteByte(permLetters[i])
		}
	}
	return b.String()
}

// aclText is an ACL as parseACL takes it.
func aclText(list []zk.ACL) string {
	parts := make([]string, len(list))
	for i, a := range list {
		parts[i] = a.ID.Scheme + ":" + a.ID.ID + ":" + permText(a.Perms)
	}
	return strings.Join(parts, ",")
}

// parseACL reads "scheme:id:perms,…" as ZooKeeper's shell does: the id may hold colons (IPv6 addresses, digests).
func parseACL(s string) ([]zk.ACL, error) {
	var list []zk.ACL
	for part := range strings.SplitSeq(s, ",") {
		first, last := strings.Index(part, ":"), strings.LastIndex(part, ":")
		if first <= 0 || first == last {
			return nil, usagef("ACL %q: must be scheme:id:perms, as in world:anyone:cdrwa", part)
		}
		a := zk.ACL{ID: zk.ID{Scheme: part[:first], ID: part[first+1 : last]}}
		for _, c := range []byte(part[last+1:]) {
			p, ok := permOf[c]
			if !ok {
				return nil, usagef("ACL %q: permission %q, must be of %s", part, c, permLetters)
			}
			a.Perms |= p
		}
		list = append(list, a)
	}
	return list, nil
}

const aclHelp = `An ACL is scheme:id:perms, several with commas between, perms of c(reate) d(elete) r(ead) w(rite) a(dmin):
world:anyone:r   digest:user:BASE64HASH:cdrwa   ip:10.0.0.0/8:rw   auth::cdrwa (whom --auth has proved)`

var eventNames = map[zk.EventType]string{
	zk.EventNone:                "Reconnected",
	zk.EventNodeCreated:         "NodeCreated",
	zk.EventNodeDeleted:         "NodeDeleted",
	zk.EventNodeDataChanged:     "NodeDataChanged",
	zk.EventNodeChildrenChanged: "NodeChildrenChanged",
}
