package server

import (
	"maps"
	"testing"
)

// FuzzConfigNode: the lines that are read from /zookeeper/config are those that they are written as, also after servers have joined and left
// by what a reconfig request says.
func FuzzConfigNode(f *testing.F) {
	f.Add("server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\nserver.2=[::1]:2888:3888:observer;2181\nversion=100000000\n", "server.3=c:2888:3888;2181", "1")
	f.Add("server.1=a:1:2;3", "4=a:1:2;3, server.5=b:65535:65534:observer;[::]:1", "1,x")
	f.Add("version=-1\nserver.256=a:1:2;3\nserver.=", "server.1=a:b:c;d", "-1,,2")
	f.Fuzz(func(t *testing.T, data, joining, leaving string) {
		lines, _ := parseLines(data)
		check := func() {
			t.Helper()
			text := lines.String()
			again, _ := parseLines(text)
			if len(again) != len(lines) || again.String() != text {
				t.Fatalf("%q is read as %v, written as %q and read as %v", data, lines, text, again)
			}
		}
		check()
		before := maps.Clone(lines)
		if lines.remove(leaving) == nil && len(lines) > len(before) {
			t.Fatalf("%d servers are left of %d after %q", len(lines), len(before), leaving)
		}
		if lines.add(joining) == nil {
			check()
		}
	})
}
