package main

import (
	"encoding/json"
	"strings"
	"testing"

	"gopherwood/internal/fakezk"
)

// wordy is a server that answers four-letter words and nothing else.
func wordy(t *testing.T, words map[string]string) string {
	t.Helper()
	s := fakezk.New()
	t.Cleanup(s.Close)
	for w, answer := range words {
		s.Word(w, answer)
	}
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

const srvr = `Zookeeper version: 3.9.3-c26634f34490bb0ea7a09cc51e05ede3b4e320ee, built on 2024-10-17 23:21 UTC
Latency min/avg/max: 0/1.5/236
Received: 10043
Sent: 10048
Connections: 12
Outstanding: 3
Zxid: ZXID
Mode: MODE
Node count: 5
`

func srvrOf(mode, zxid string) string {
	return strings.NewReplacer("MODE", mode, "ZXID", zxid).Replace(srvr)
}

func TestStatus(t *testing.T) {
	leader := wordy(t, map[string]string{"srvr": srvrOf("leader", "0x100000010"), "mntr": "zk_watch_count\t7\nzk_synced_followers\t1\n", "conf": "serverId=2\n"})
	follower := wordy(t, map[string]string{
		"srvr": srvrOf("follower", "0x10000000e"),
		"mntr": "mntr is not executed because it is not in the whitelist.\n",
		"conf": "serverId=1\nmembership: \nserver.1=127.0.0.1:2888:3888:participant\nserver.2=127.0.0.1:2888:3888:participant;" + leader + "\n",
	})
	headless := wordy(t, map[string]string{"srvr": "This ZooKeeper instance is not currently serving requests\n", "mntr": "", "conf": ""})

	got := run(t.Context(), "", "status", "--server", follower+",127.0.0.1:1")
	want := []string{
		"SERVER ROLE ZXID LAG CONNECTIONS OUTSTANDING NODES WATCHES LATENCY ms VERSION",
		follower + " follower 0x10000000e 2 12 3 5 - 0/1.5/236 3.9.3",
		"127.0.0.1:1 down - - - - - - - connection refused",
		leader + " leader 0x100000010 0 12 3 5 7 0/1.5/236 3.9.3", // found through conf
		"2 of 3 serve, leader " + leader + " with 1 synced followers",
	}
	if got.code != 0 || squeeze(got.out) != strings.Join(want, "\n") {
		t.Errorf("%d %s\n%s", got.code, got.err, got.out)
	}

	got = run(t.Context(), "", "status", "--server", headless)
	if got.code != exitNoServer || !strings.Contains(got.out, "0 of 1 serve: no quorum") || got.err != "no server of the ensemble serves" {
		t.Errorf("%+v", got)
	}

	got = run(t.Context(), "", "status", "--server", leader+","+headless, "--json")
	var e overview
	if err := json.Unmarshal([]byte(got.out), &e); err != nil {
		t.Fatal(err)
	}
	if e.Leader != leader || e.Serving != 1 || len(e.Members) != 2 || e.Members[1].Role != "not serving" || *e.Members[0].Lag != 0 || *e.Members[0].Watches != 7 {
		t.Errorf("%s", got.out)
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name    string
		members []*member
		leader  string
		lags    []int64 // -1: not told
		summary string
	}{
		{"one", []*member{{Address: "a", Role: "standalone", zxid: 5}}, "a", []int64{0}, "1 of 1 serve, standalone"},
		{"epochs of ZooKeeper", []*member{{Address: "a", Role: "leader", zxid: 2<<32 + 1}, {Address: "b", Role: "follower", zxid: 1<<32 + 9}}, "a", []int64{0, -1}, "2 of 2 serve, leader a"},
		{"one count", []*member{{Address: "a", Role: "leader", zxid: 2<<32 + 1, Version: "3.9.5-gopherwood"}, {Address: "b", Role: "follower", zxid: 1<<32 + 1}}, "a", []int64{0, 1 << 32}, "2 of 2 serve, leader a"},
		{"ahead by the time between", []*member{{Address: "a", Role: "leader", zxid: 5}, {Address: "b", Role: "observer", zxid: 6}}, "a", []int64{0, 0}, "2 of 2 serve, leader a"},
		{"leader not asked", []*member{{Address: "b", Role: "follower", zxid: 6}}, "", []int64{-1}, "1 of 1 serve, the leader is not among those asked"},
		{"none", []*member{{Address: "b", Role: "down", Error: "x"}}, "", []int64{-1}, "0 of 1 serve: no quorum"},
	} {
		e := &overview{Members: tt.members}
		e.compare()
		if e.Leader != tt.leader || e.summary() != tt.summary {
			t.Errorf("%s: leader %q, %q", tt.name, e.Leader, e.summary())
		}
		for i, m := range e.Members {
			lag := int64(-1)
			if m.Lag != nil {
				lag = *m.Lag
			}
			if lag != tt.lags[i] {
				t.Errorf("%s: %s is %d behind, want %d", tt.name, m.Address, lag, tt.lags[i])
			}
		}
	}
}

func TestReadConf(t *testing.T) {
	for line, want := range map[string]string{
		"server.1=h:2888:3888:participant;2181":           "h:2181",
		"server.1=h:2888:3888:participant;0.0.0.0:2181":   "h:2181",
		"server.1=h:2888:3888:participant;c.example:2182": "c.example:2182",
		"server.1=h:2888:3888:observer;[fe80::1]:2182":    "[fe80::1]:2182",
		"server.1=h:2888:3888:participant":                "",
		"nonsense":                                        "",
	} {
		var m member
		m.readConf(line)
		if got := strings.Join(m.peers, " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// squeeze makes the columns' spaces single and drops the last newline.
func squeeze(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.Join(lines, "\n")
}
