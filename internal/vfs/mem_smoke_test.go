package vfs

import "testing"

func TestMemSmoke(t *testing.T) {
	m := NewMem(1)
	if err := m.MkdirAll("a/b"); err != nil {
		t.Fatal(err)
	}
	f, err := m.Create("a/b/x")
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("hello"))
	f.Sync()
	m.SyncDir("a/b")
	n := m.Crash(nil)
	b := make([]byte, 5)
	g, err := n.Open("a/b/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.ReadAt(b, 0); err != nil || string(b) != "hello" {
		t.Fatal(string(b), err)
	}
}
