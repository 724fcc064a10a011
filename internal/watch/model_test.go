package watch

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"gopherwood/zk"
	"pgregory.net/rapid"
)

// model is the table as ZooKeeper has it: two managers, each a set of modes per watcher and path, and nothing else.
type model struct {
	data, child map[modelKey]Kind // standard mode is Data in the first and Child in the second
	order       map[modelKey]int  // when the watcher began to watch the path
	clock       int
}

type modelKey struct {
	w    Handle
	path string
}

func newModel() *model {
	return &model{data: map[modelKey]Kind{}, child: map[modelKey]Kind{}, order: map[modelKey]int{}}
}

func (m *model) add(w Handle, path string, k Kind) {
	id := modelKey{w, path}
	if m.data[id]|m.child[id] == 0 {
		m.clock++
		m.order[id] = m.clock
	}
	m.data[id] |= k & (Data | Persistent | Recursive)
	m.child[id] |= k & (Child | Persistent)
}

func (m *model) has(w Handle, path string, k Kind) bool {
	id := modelKey{w, path}
	return (m.data[id]|m.child[id])&k != 0
}

func (m *model) remove(w Handle, path string, k Kind) {
	id := modelKey{w, path}
	m.data[id] &^= k
	m.child[id] &^= k
}

// trigger is DataTree's calls of triggerWatch for one event.
func (m *model) trigger(ev zk.EventType, path string) []Handle {
	told := map[Handle]int{} // sort key: distance, then age
	manager := func(table map[modelKey]Kind, shot Kind) {
		distance := 0
		for p := path; ; p = zk.Parent(p) {
			for id, k := range maps.Clone(table) {
				if id.path != p || k == 0 || (distance > 0 && k&Recursive == 0) {
					continue
				}
				key := distance<<32 | m.order[id] // the nearest of its watches decides where a watcher stands
				if before, ok := told[id.w]; !ok || key < before {
					told[id.w] = key
				}
				if distance == 0 {
					table[id] = k &^ shot
				}
			}
			if p == zk.Root {
				return
			}
			distance++
		}
	}
	switch ev {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		manager(m.data, Data)
	case zk.EventNodeDeleted:
		manager(m.data, Data)
		manager(m.child, Child)
	case zk.EventNodeChildrenChanged:
		manager(m.child, Child)
	}
	return slices.SortedFunc(maps.Keys(told), func(a, b Handle) int { return told[a] - told[b] })
}

func (m *model) watches() (n int) {
	for _, table := range []map[modelKey]Kind{m.data, m.child} {
		for _, k := range table {
			if k != 0 {
				n++
			}
		}
	}
	return n
}

var (
	modelPaths = []string{"/", "/a", "/a/b", "/a/b/c", "/ab", "/x", "/x/y"}
	modelKinds = []Kind{Data, Child, Persistent, Recursive}
	modelTypes = map[zk.WatcherType]Kind{zk.WatcherData: Data, zk.WatcherChildren: Child,
		zk.WatcherPersistent: Persistent, zk.WatcherPersistentRecursive: Recursive, zk.WatcherAny: all, 99: 0}
	modelEvents = []zk.EventType{zk.EventNodeCreated, zk.EventNodeDeleted, zk.EventNodeDataChanged, zk.EventNodeChildrenChanged}
)

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab, m := New(Options{}), newModel()
		watcher := rapid.Map(rapid.IntRange(0, 4), func(i int) Handle { return Handle(i) })
		path := rapid.SampledFrom(modelPaths)
		sel := rapid.SampledFrom(slices.Sorted(maps.Keys(modelTypes)))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				w, p, k := watcher.Draw(t, "w"), path.Draw(t, "path"), rapid.SampledFrom(modelKinds).Draw(t, "kind")
				if err := tab.Add(w, p, k); err != nil {
					t.Fatal(err)
				}
				m.add(w, p, k)
			},
			"remove": func(t *rapid.T) {
				w, p, s := watcher.Draw(t, "w"), path.Draw(t, "path"), sel.Draw(t, "type")
				want := m.has(w, p, modelTypes[s])
				if got := tab.Has(w, p, s); got != want {
					t.Fatalf("Has(%d, %s, %d) = %v", w, p, s, got)
				}
				if got := tab.Remove(w, p, s); got != want {
					t.Fatalf("Remove(%d, %s, %d) = %v", w, p, s, got)
				}
				m.remove(w, p, modelTypes[s])
			},
			"removeAll": func(t *rapid.T) {
				w := watcher.Draw(t, "w")
				tab.RemoveAll(w)
				for _, p := range modelPaths {
					m.remove(w, p, all)
				}
			},
			"trigger": func(t *rapid.T) {
				ev, p := rapid.SampledFrom(modelEvents).Draw(t, "event"), path.Draw(t, "path")
				got, want := tab.Trigger(nil, ev, p), m.trigger(ev, p)
				if !slices.Equal(got, want) {
					t.Fatalf("Trigger(%d, %s) reached %v, want %v", ev, p, got, want)
				}
			},
			"": func(t *rapid.T) { checkAgainst(t, tab, m) },
		})
	})
}

// checkAgainst compares everything that the table shows with the model, and the table with itself.
func checkAgainst(t *rapid.T, tab *Table, m *model) {
	seen := map[modelKey]Kind{}
	tab.Walk(func(w Handle, path string, k Kind) bool {
		seen[modelKey{w, path}] = k
		return true
	})
	want := map[modelKey]Kind{}
	owners := map[Handle]int{}
	for id := range m.order {
		if k := m.data[id] | m.child[id]; k != 0 {
			want[id] = k
			owners[id.w]++
		}
	}
	if !maps.Equal(seen, want) {
		t.Fatalf("table holds %v, model %v", seen, want)
	}
	for w := range Handle(5) {
		if tab.Of(w) != owners[w] {
			t.Fatalf("Of(%d) = %d, want %d", w, tab.Of(w), owners[w])
		}
	}
	c := tab.Counts()
	if c.Records != len(want) || c.Watchers != len(owners) || c.Watches != m.watches() {
		t.Fatalf("counts %+v of %d records, %d watchers, %d watches", c, len(want), len(owners), m.watches())
	}
	for name, p := range tab.paths {
		if tab.entries[p].name != name || tab.entries[p].first == none {
			t.Fatal(fmt.Sprintf("path %q has a stale entry %+v", name, tab.entries[p]))
		}
	}
	if len(tab.keys) != tab.live {
		t.Fatalf("%d keys for %d records", len(tab.keys), tab.live)
	}
}
