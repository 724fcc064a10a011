package watch

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gopherwood/zk"
)

func TestBounds(t *testing.T) {
	tab := New(Options{PerWatcher: 2, Total: 3})
	for _, step := range []struct {
		w    Handle
		path string
		want error
	}{
		{1, "/a", nil}, {1, "/b", nil},
		{1, "/c", ErrTooManyOfWatcher},
		{1, "/a", nil}, // has it already
		{2, "/a", nil},
		{2, "/b", ErrTooMany},
	} {
		if err := tab.Add(step.w, step.path, Child); !errors.Is(err, step.want) {
			t.Fatalf("Add(%d, %s) = %v, want %v", step.w, step.path, err, step.want)
		}
	}
	if tab.Has(2, "/b", zk.WatcherAny) || tab.Of(2) != 1 {
		t.Error("a refused watch left something behind")
	}
	tab.RemoveAll(1)
	if err := tab.Add(2, "/b", Child); err != nil {
		t.Errorf("after RemoveAll: %v", err)
	}
}

// TestPathIsCopied: callers hand over strings that alias a connection's buffer.
func TestPathIsCopied(t *testing.T) {
	buf := []byte("/a/b")
	tab := New(Options{})
	if err := tab.Add(1, string(buf), Data); err != nil {
		t.Fatal(err)
	}
	copy(buf, "XXXX")
	if got := tab.Trigger(nil, zk.EventNodeCreated, "/a/b"); len(got) != 1 {
		t.Fatalf("got %v", got)
	}
}

// TestReuse fills and empties a table: what it holds afterwards must not grow with the number of rounds.
func TestReuse(t *testing.T) {
	tab := New(Options{})
	var records, entries int
	for round := range 5 {
		for i := range 3000 {
			w := Handle(i % 7)
			if err := tab.Add(w, fmt.Sprintf("/r%d/%d", round, i), Data); err != nil {
				t.Fatal(err)
			}
		}
		if round == 0 {
			records, entries = len(tab.records), len(tab.entries)
		}
		for i := range 1500 {
			tab.Trigger(nil, zk.EventNodeDeleted, fmt.Sprintf("/r%d/%d", round, i))
		}
		for w := range Handle(7) {
			tab.RemoveAll(w)
		}
		if c := tab.Counts(); c != (Counts{}) {
			t.Fatalf("round %d left %+v", round, c)
		}
		if len(tab.records) > records || len(tab.entries) > entries {
			t.Fatalf("round %d: %d records and %d entries, first round had %d and %d",
				round, len(tab.records), len(tab.entries), records, entries)
		}
	}
}

func TestTriggerAllocatesNothing(t *testing.T) {
	tab := New(Options{})
	if err := tab.Add(1, "/a", Recursive); err != nil {
		t.Fatal(err)
	}
	dst := make([]Handle, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		dst = tab.Trigger(dst[:0], zk.EventNodeCreated, "/a/b/c")
		dst = tab.Trigger(dst, zk.EventNodeCreated, "/x")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(dst) != 1 {
		t.Errorf("reached %v", dst)
	}
}

func TestWalkStops(t *testing.T) {
	tab := New(Options{})
	for w := range Handle(3) {
		if err := tab.Add(w, "/a", Data|Persistent); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	tab.Walk(func(Handle, string, Kind) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("walked %d records after being told to stop at 2", n)
	}
}

func BenchmarkTriggerUnwatched(b *testing.B) {
	tab := New(Options{})
	for i := range 1000 {
		if err := tab.Add(Handle(i), fmt.Sprintf("/w/%d", i), Data); err != nil {
			b.Fatal(err)
		}
	}
	path := "/app/" + strings.Repeat("n", 10)
	b.ReportAllocs()
	for b.Loop() {
		tab.Trigger(nil, zk.EventNodeDataChanged, path)
	}
}

func BenchmarkAddTrigger(b *testing.B) {
	tab := New(Options{})
	dst := make([]Handle, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		_ = tab.Add(1, "/app/n", Data)
		dst = tab.Trigger(dst[:0], zk.EventNodeDataChanged, "/app/n")
	}
}
