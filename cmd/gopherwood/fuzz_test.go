package main

import (
	"net"
	"slices"
	"strings"
	"testing"

	"gopherwood/client"
)

// FuzzPeers: --peers that is taken gives members with numbers and addresses in their ranges, each once.
func FuzzPeers(f *testing.F) {
	for _, s := range []string{"1=a:2888,2=b:2888:observer;2181", "1=[::1]:1;[::]:2", "1=a,1=b", "1=a:1,2=a:1", "256=a", "1=a;", "=,", "1=:1", "1=a:1;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		members, err := parsePeers(s)
		if err != nil {
			return
		}
		last := uint64(0)
		for _, m := range members {
			host, port, err := net.SplitHostPort(m.PeerAddr)
			if m.ID <= last || m.ID > 255 || err != nil || host == "" || !isPort(port) {
				t.Fatalf("%q is read as %+v", s, members)
			}
			last = m.ID
			if _, port, err := net.SplitHostPort(m.ClientAddr); m.ClientAddr != "" && (err != nil || !isPort(port)) {
				t.Fatalf("%q is read as %+v", s, members)
			}
		}
	})
}

// FuzzACL: an ACL that is taken is read the same from the text that it is shown as.
func FuzzACL(f *testing.F) {
	for _, s := range []string{"world:anyone:cdrwa", "digest:u:h=:rw,ip:10.0.0.0/8:r", "ip:fe80::1:a", "auth::", "a:b", "x:y:zz", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseACL(s)
		if err != nil {
			return
		}
		again, err := parseACL(aclText(list))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%q is read as %v, shown as %q, read as %v, %v", s, list, aclText(list), again, err)
		}
	})
}

// FuzzTxn: a line of a transaction gives one operation or an error, and words in quotes are read as Go reads them.
func FuzzTxn(f *testing.F) {
	for _, s := range []string{`create /a "b c"`, `set /a x 3`, `delete /a`, `check /a -1`, `set /a`, `create "/a`, `create /a "\x00\u1234"`, ``, `set /a "" 99999999999`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitWords(line)
		if err == nil && len(words) > len(line) {
			t.Fatalf("%q has %d words", line, len(words))
		}
		if err := parseOp(new(client.Txn), line); err == nil && len(words) < 2 {
			t.Fatalf("%q is taken for an operation", line)
		}
		_ = parseTxn(new(client.Txn), "-", strings.NewReader(line)) // as the lines of a file
	})
}

// FuzzStatus: whatever a server answers to the words that `status` asks, it is shown without a panic.
func FuzzStatus(f *testing.F) {
	f.Add("Zookeeper version: 3.9.5-1234567890123456789012345678901234567890x, built on x\nZxid: 0x5\nMode: leader\nNode count: 5\n")
	f.Add("zk_watch_count\t5\nzk_synced_followers\tx\n")
	f.Add("serverId=1\nserver.2=host:2888:3888:participant;host:2181\nserver.3=[::1]:1;[::]:2\nserver.4=x;\nserver.=;\n")
	f.Fuzz(func(t *testing.T, text string) {
		var m member
		m.readSrvr(text)
		m.readMntr(text)
		m.readConf(text)
		if len(m.peers) > strings.Count(text, "\n")+1 {
			t.Fatalf("%d peers in %q", len(m.peers), text)
		}
	})
}
