package wire_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

var (
	someData = []byte{0, 1, 2, 0xfe, 0xff}
	noData   = []byte{}
	passwd   = []byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	world    = zk.OpenACL()
	acls     = []zk.ACL{
		{Perms: zk.PermRead, ID: zk.ID{Scheme: "digest", ID: "ann:zLZSDvNnhkl8BGGJGm1vRgz0E4M="}},
		{Perms: zk.PermAdmin, ID: zk.ID{Scheme: "ip", ID: "10.0.0.0/8"}},
		{Perms: 0, ID: zk.ID{Scheme: "auth"}},
	}
	stat = zk.Stat{
		Czxid: 0x0102030405060708, Mzxid: 0x1112131415161718, Ctime: 1700000000000, Mtime: 1700000000001,
		Version: 3, Cversion: -4, Aversion: 5, EphemeralOwner: 0x7172737475767778, DataLength: 7, NumChildren: 8, Pzxid: math.MinInt64,
	}
)

// goldenValues are the values of testdata/golden/src/Golden.java, under its names.
var goldenValues = map[string]record{
	"RequestHeader":       &wire.RequestHeader{Xid: 0x01020304, Type: zk.OpGetData},
	"RequestHeader/ping":  &wire.RequestHeader{Xid: zk.XidPing, Type: zk.OpPing},
	"RequestHeader/close": &wire.RequestHeader{Xid: 7, Type: zk.OpCloseSession},
	"ReplyHeader":         &wire.ReplyHeader{Xid: 7, Zxid: 0x0102030405060708, Err: zk.ErrNoNode},
	"ReplyHeader/event":   &wire.ReplyHeader{Xid: zk.XidNotification, Zxid: -1},
	"ErrorResponse":       &wire.ErrorResponse{Err: zk.ErrNodeExists},
	"ErrorResponse/ok":    &wire.ErrorResponse{},

	"ConnectRequest": &wire.ConnectRequest{LastZxidSeen: 0x0102030405060708, TimeOut: 30000, SessionID: 0x1112131415161718, Passwd: passwd,
		ReadOnly: true, HasReadOnly: true},
	"ConnectRequest/old":  &wire.ConnectRequest{LastZxidSeen: 0x0102030405060708, TimeOut: 30000, SessionID: 0x1112131415161718, Passwd: passwd},
	"ConnectRequest/new":  &wire.ConnectRequest{TimeOut: 6000, Passwd: make([]byte, 16), HasReadOnly: true},
	"ConnectRequest/null": &wire.ConnectRequest{TimeOut: 6000, HasReadOnly: true},
	"ConnectResponse": &wire.ConnectResponse{TimeOut: 40000, SessionID: 0x1112131415161718, Passwd: passwd,
		ReadOnly: true, HasReadOnly: true},
	"ConnectResponse/old":     &wire.ConnectResponse{TimeOut: 40000, SessionID: 0x1112131415161718, Passwd: passwd},
	"ConnectResponse/expired": &wire.ConnectResponse{Passwd: make([]byte, 16), HasReadOnly: true},

	"CreateRequest":       &wire.CreateRequest{Path: "/a/b", Data: someData, ACL: world},
	"CreateRequest/acls":  &wire.CreateRequest{Path: "/a/ä漢-", Data: noData, ACL: acls, Flags: zk.ModeEphemeralSequential},
	"CreateRequest/null":  &wire.CreateRequest{Path: "/a", Flags: zk.ModeContainer},
	"CreateRequest/empty": &wire.CreateRequest{Data: noData, ACL: []zk.ACL{}, Flags: -1},
	"CreateTTLRequest":    &wire.CreateTTLRequest{Path: "/a/t", Data: someData, ACL: world, Flags: zk.ModeTTL, TTL: 86400000},
	"CreateResponse":      &wire.CreateResponse{Path: "/a/b0000000001"},
	"Create2Response":     &wire.Create2Response{Path: "/a/b", Stat: stat},

	"DeleteRequest":                &wire.DeleteRequest{Path: "/a/b", Version: -1},
	"ExistsRequest":                &wire.ExistsRequest{Path: "/a/b", Watch: true},
	"ExistsResponse":               &wire.ExistsResponse{Stat: stat},
	"GetDataRequest":               &wire.GetDataRequest{Path: "/a/b", Watch: true},
	"GetDataRequest/plain":         &wire.GetDataRequest{Path: "/"},
	"GetDataResponse":              &wire.GetDataResponse{Data: someData, Stat: stat},
	"GetDataResponse/null":         &wire.GetDataResponse{},
	"GetDataResponse/empty":        &wire.GetDataResponse{Data: noData, Stat: stat},
	"SetDataRequest":               &wire.SetDataRequest{Path: "/a/b", Data: someData, Version: 17},
	"SetDataRequest/null":          &wire.SetDataRequest{Path: "/a/b", Version: -1},
	"SetDataResponse":              &wire.SetDataResponse{Stat: stat},
	"GetACLRequest":                &wire.GetACLRequest{Path: "/a/b"},
	"GetACLResponse":               &wire.GetACLResponse{ACL: acls, Stat: stat},
	"SetACLRequest":                &wire.SetACLRequest{Path: "/a/b", ACL: acls, Version: 2},
	"SetACLResponse":               &wire.SetACLResponse{Stat: stat},
	"GetChildrenRequest":           &wire.GetChildrenRequest{Path: "/a"},
	"GetChildrenResponse":          &wire.GetChildrenResponse{Children: []string{"b", "", "ä漢"}},
	"GetChildrenResponse/empty":    &wire.GetChildrenResponse{Children: []string{}},
	"GetChildren2Request":          &wire.GetChildren2Request{Path: "/a", Watch: true},
	"GetChildren2Response":         &wire.GetChildren2Response{Children: []string{"b", "c"}, Stat: stat},
	"GetAllChildrenNumberRequest":  &wire.GetAllChildrenNumberRequest{Path: "/a"},
	"GetAllChildrenNumberResponse": &wire.GetAllChildrenNumberResponse{TotalNumber: 1000000},
	"GetEphemeralsRequest":         &wire.GetEphemeralsRequest{PrefixPath: "/a"},
	"GetEphemeralsResponse":        &wire.GetEphemeralsResponse{Ephemerals: []string{"/a/e1", "/a/e2"}},
	"SyncRequest":                  &wire.SyncRequest{Path: "/a"},
	"SyncResponse":                 &wire.SyncResponse{Path: "/a"},
	"CheckVersionRequest":          &wire.CheckVersionRequest{Path: "/a/b", Version: 9},
	"ReconfigRequest":              &wire.ReconfigRequest{JoiningServers: []byte("server.4=h:1:2;3"), LeavingServers: []byte("1,2"), CurConfigID: -1},
	"ReconfigRequest/members":      &wire.ReconfigRequest{LeavingServers: noData, NewMembers: []byte("server.1=h:1:2;3"), CurConfigID: 0x100000003},

	"SetWatches": &wire.SetWatches{RelativeZxid: 0x0102030405060708, DataWatches: []string{"/a", "/b"}, ExistWatches: []string{},
		ChildWatches: []string{"/c"}},
	"SetWatches/null": &wire.SetWatches{RelativeZxid: 1},
	"SetWatches2": &wire.SetWatches2{
		SetWatches: wire.SetWatches{RelativeZxid: 5, DataWatches: []string{"/a"}, ExistWatches: []string{"/b"},
			ChildWatches: []string{"/c"}},
		PersistentWatches: []string{"/d"}, PersistentRecursiveWatches: []string{"/e", "/"}},
	"AddWatchRequest":      &wire.AddWatchRequest{Path: "/a", Mode: zk.AddWatchPersistentRecursive},
	"CheckWatchesRequest":  &wire.CheckWatchesRequest{Path: "/a", Type: zk.WatcherAny},
	"RemoveWatchesRequest": &wire.RemoveWatchesRequest{Path: "/a", Type: zk.WatcherPersistentRecursive},
	"WatcherEvent":         &wire.WatcherEvent{Type: zk.EventNodeDataChanged, State: zk.StateSyncConnected, Path: "/a/b"},
	"WatcherEvent/state":   &wire.WatcherEvent{Type: zk.EventNone, State: zk.StateExpired},

	"AuthPacket":           &wire.AuthPacket{Scheme: "digest", Auth: []byte("ann:secret")},
	"WhoAmIResponse":       &wire.WhoAmIResponse{ClientInfo: []wire.ClientInfo{{AuthScheme: "ip", User: "127.0.0.1"}, {AuthScheme: "digest", User: "ann"}}},
	"GetSASLRequest":       &wire.GetSASLRequest{Token: someData},
	"GetSASLRequest/empty": &wire.GetSASLRequest{Token: noData},
	"SetSASLResponse":      &wire.SetSASLResponse{Token: someData},
	"SetSASLResponse/null": &wire.SetSASLResponse{},

	"MultiHeader":     &wire.MultiHeader{Type: zk.OpMulti, Err: -1},
	"MultiHeader/end": &wire.MultiHeader{Type: zk.OpError, Done: true, Err: -1},
	"MultiRequest": &wire.MultiRequest{Ops: []wire.Op{
		{Type: zk.OpCreate, Path: "/a", Data: someData, ACL: world},
		{Type: zk.OpCreate, Path: "/e-", ACL: acls, Flags: zk.ModeEphemeralSequential},
		{Type: zk.OpCreateContainer, Path: "/c", Data: noData, ACL: world, Flags: zk.ModeContainer},
		{Type: zk.OpCreateTTL, Path: "/t", Data: someData, ACL: world, Flags: zk.ModeTTL, TTL: 5000},
		{Type: zk.OpDelete, Path: "/a", Version: 3},
		{Type: zk.OpSetData, Path: "/a", Version: -1},
		{Type: zk.OpCheck, Path: "/a"},
	}},
	"MultiRequest/read":  &wire.MultiRequest{Ops: []wire.Op{{Type: zk.OpGetData, Path: "/a"}, {Type: zk.OpGetChildren, Path: "/"}}},
	"MultiRequest/empty": &wire.MultiRequest{},
	"MultiResponse": &wire.MultiResponse{Results: []wire.MultiResult{
		{Type: zk.OpCreate, Path: "/a"},
		{Type: zk.OpCreate2, Path: "/c", Stat: stat},
		{Type: zk.OpDelete},
		{Type: zk.OpSetData, Stat: stat},
		{Type: zk.OpCheck},
	}},
	"MultiResponse/failed": &wire.MultiResponse{Results: []wire.MultiResult{
		{Type: zk.OpError}, {Type: zk.OpError, Err: zk.ErrNodeExists}, {Type: zk.OpError, Err: zk.ErrRuntimeInconsistency},
	}},
	"MultiResponse/read": &wire.MultiResponse{Results: []wire.MultiResult{
		{Type: zk.OpGetData, Data: someData, Stat: stat},
		{Type: zk.OpGetData, Stat: stat},
		{Type: zk.OpGetChildren, Children: []string{"x", "y"}},
		{Type: zk.OpError, Err: zk.ErrNoNode},
	}},
	"MultiResponse/empty": &wire.MultiResponse{},
}

type golden struct {
	name, kind string // "CreateRequest/null", "CreateRequest"
	bytes      []byte
}

func readGolden(t testing.TB) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kind, _, _ := strings.Cut(name, "/")
		all = append(all, golden{name, kind, b})
	}
	return all
}

// TestGolden compares with the bytes of ZooKeeper's own classes, both ways.
func TestGolden(t *testing.T) {
	kinds := map[string]bool{}
	all := readGolden(t)
	for _, g := range all {
		kinds[g.kind] = true
		t.Run(g.name, func(t *testing.T) {
			want, ok := goldenValues[g.name]
			if !ok || newRecord[g.kind] == nil {
				t.Fatal("no value in Go")
			}
			if got := want.Append(nil); !bytes.Equal(got, g.bytes) {
				t.Errorf("append\n got %x\nwant %x", got, g.bytes)
			}
			got := newRecord[g.kind]()
			d := wire.NewDecoder(g.bytes)
			got.Decode(&d)
			if d.Err() != nil || d.Remaining() != 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("decode: %v, %d bytes left\n got %+v\nwant %+v", d.Err(), d.Remaining(), got, want)
			}
		})
	}
	if len(all) != len(goldenValues) {
		t.Errorf("%d records in the file, %d values in Go", len(all), len(goldenValues))
	}
	for name := range newRecord {
		if !kinds[name] {
			t.Errorf("%s has no golden bytes", name)
		}
	}
}
