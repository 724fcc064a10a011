package watch

import (
	"errors"
	"strings"

	"gopherwood/zk"
)

// Handle names a watcher. Handles should be small numbers, used again after RemoveAll: the table has a slot for each.
type Handle uint32

// Kind is a set of ways in which a watcher watches a path.
type Kind uint8

// The kinds (WatcherMode, with ZooKeeper's two tables told apart for the standard one).
const (
	Data       Kind = 1 << iota // getData, exists
	Child                       // getChildren
	Persistent                  // addWatch, PERSISTENT
	Recursive                   // addWatch, PERSISTENT_RECURSIVE

	oneShot = Data | Child
	all     = Data | Child | Persistent | Recursive
)

// The ways in which Add refuses.
var (
	ErrTooManyOfWatcher = errors.New("watch: too many watches of one client")
	ErrTooMany          = errors.New("watch: too many watches on this server")
)

// Options are the bounds of a table. The zero value takes the defaults.
type Options struct {
	PerWatcher int // paths that one watcher may watch; 0: DefaultPerWatcher
	Total      int // records of all watchers; 0: DefaultTotal
}

// none ends a list: index 0 of every slice below is not used.
const none = 0

// record is what one watcher has on one path. kinds is never empty in a live record.
type record struct {
	watcher Handle
	path    uint32

	nextOnPath, prevOnPath       uint32
	nextOfWatcher, prevOfWatcher uint32

	kinds Kind
}

// pathEntry is a watched path and the list of its records; first is the oldest. A free entry has no name and links by first.
type pathEntry struct {
	name        string
	first, last uint32
}

// owner is one watcher's side. mark is the last Trigger that reached it, so that none reaches it twice.
type owner struct {
	first uint32
	count uint32
	mark  uint64
}

// Table holds the watches of one server. Its owner guards it against concurrent use, Counts and Walk included.
//
// Invariants: every live record is in its path's list, in its watcher's and in keys; a path has an entry while it has records.
type Table struct {
	opts Options

	paths   map[string]uint32
	entries []pathEntry
	records []record
	keys    map[uint64]uint32 // path<<32 | watcher
	owners  []owner

	freeEntry, freeRecord uint32

	live      int // records
	watchers  int // owners with count > 0
	recursive int // records with Recursive
	inData    int // records that ZooKeeper has in its data table
	inChild   int // and in its child table
	triggers  uint64
}

// New is an empty table.
func New(o Options) *Table {
	if o.PerWatcher == 0 {
		o.PerWatcher = DefaultPerWatcher
	}
	if o.Total == 0 {
		o.Total = DefaultTotal
	}
	t := &Table{opts: o}
	t.clear()
	return t
}

func (t *Table) clear() {
	t.paths = make(map[string]uint32)
	t.keys = make(map[uint64]uint32)
	t.entries = make([]pathEntry, 1)
	t.records = make([]record, 1)
	t.freeEntry, t.freeRecord = none, none
}

func key(path uint32, w Handle) uint64 { return uint64(path)<<32 | uint64(w) }

// Add makes w watch path in the given ways, besides those that it has already. path is copied if it has to be kept. The
// errors are ErrTooManyOfWatcher and ErrTooMany; the table is then unchanged.
func (t *Table) Add(w Handle, path string, k Kind) error {
	if k &= all; k == 0 {
		return nil
	}
	p, watched := t.paths[path]
	if watched {
		if i, ok := t.keys[key(p, w)]; ok {
			t.setKinds(&t.records[i], t.records[i].kinds|k)
			return nil
		}
	}
	for int(w) >= len(t.owners) {
		t.owners = append(t.owners, owner{})
	}
	if int(t.owners[w].count) >= t.opts.PerWatcher {
		return ErrTooManyOfWatcher
	}
	if t.live >= t.opts.Total {
		return ErrTooMany
	}
	if !watched {
		p = t.newEntry(strings.Clone(path))
	}
	t.link(w, p, k)
	return nil
}

// Has says whether w has a watch that t selects on path: checkWatches (DataTree.containsWatcher).
func (t *Table) Has(w Handle, path string, sel zk.WatcherType) bool {
	i := t.find(w, path)
	return i != none && t.records[i].kinds&selected(sel) != 0
}

// Remove takes back w's watches on path that t selects and says whether there were any: removeWatches (DataTree.removeWatch).
func (t *Table) Remove(w Handle, path string, sel zk.WatcherType) bool {
	i := t.find(w, path)
	if i == none || t.records[i].kinds&selected(sel) == 0 {
		return false
	}
	t.keep(i, t.records[i].kinds&^selected(sel))
	t.shrink()
	return true
}

// selected is the kinds that a WatcherType means; nothing for an unknown one.
func selected(sel zk.WatcherType) Kind {
	switch sel {
	case zk.WatcherChildren:
		return Child
	case zk.WatcherData:
		return Data
	case zk.WatcherPersistent:
		return Persistent
	case zk.WatcherPersistentRecursive:
		return Recursive
	case zk.WatcherAny:
		return all
	}
	return 0
}

// RemoveAll forgets w. Its cost is that of its own watches.
func (t *Table) RemoveAll(w Handle) {
	if int(w) >= len(t.owners) {
		return
	}
	for i := t.owners[w].first; i != none; i = t.owners[w].first {
		t.keep(i, 0)
	}
	t.shrink()
}

// Of is how many paths w watches.
func (t *Table) Of(w Handle) int {
	if int(w) >= len(t.owners) {
		return 0
	}
	return int(t.owners[w].count)
}

// Counts sums a table up.
type Counts struct {
	Watches  int // as ZooKeeper's watch_count: a persistent watch counts in its data and in its child table
	Paths    int // watched paths
	Watchers int // with at least one watch
	Records  int // pairs of watcher and path
}

// Counts costs nothing.
func (t *Table) Counts() Counts {
	return Counts{Watches: t.inData + t.inChild, Paths: len(t.paths), Watchers: t.watchers, Records: t.live}
}

// Walk yields every record, watcher by watcher and within one the newest first, until yield returns false.
func (t *Table) Walk(yield func(w Handle, path string, k Kind) bool) {
	for w := range t.owners {
		for i := t.owners[w].first; i != none; i = t.records[i].nextOfWatcher {
			r := &t.records[i]
			if !yield(r.watcher, t.entries[r.path].name, r.kinds) {
				return
			}
		}
	}
}
