package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestLineWriter(t *testing.T) {
	var out bytes.Buffer
	p := &prefixer{w: &out}
	one, two := &lineWriter{out: p, name: "1"}, &lineWriter{out: p, name: "2"}
	for _, step := range []struct {
		w    *lineWriter
		text string
	}{
		{one, "a\nb"}, {two, "x\n"}, {one, "c\n\n"}, {two, strings.Repeat("y", maxLine)}, {two, "\n"},
	} {
		if n, err := step.w.Write([]byte(step.text)); n != len(step.text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	want := "1 | a\n2 | x\n1 | bc\n1 | \n2 | " + strings.Repeat("y", maxLine) + "\n2 | \n"
	if out.String() != want {
		t.Errorf("got %.200q", out.String())
	}
}

// TestDevArgs: what dev starts is something that serve understands.
func TestDevArgs(t *testing.T) {
	for _, servers := range []int{1, 3} {
		f := devFlags{servers: servers, level: "warn"}
		ports, err := f.ports()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for i, p := range ports {
			for _, n := range []int{p.client, p.peer, p.admin} {
				if n == 0 || seen[n] {
					t.Errorf("port %d of server %d is used twice or none", n, i+1)
				}
				seen[n] = true
			}
			s, err := resolveArgs(t, f.serveArgs(t.TempDir(), ports, i)[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			members := servers
			if servers == 1 {
				members = 0
			}
			if s.id != uint64(i+1) || s.clientPort != p.client || s.adminPort != p.admin || len(s.members) != members {
				t.Errorf("%+v", s)
			}
		}
	}
}
