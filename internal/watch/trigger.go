package watch

import (
	"gopherwood/internal/planted"
	"gopherwood/zk"
)

// Trigger is an event on path: it appends to dst each watcher that has to be told, once, and ends the one-shot watches that
// it uses up. Watchers of the path itself come first, in the order in which they began to watch it, then those that watch an
// ancestor recursively, the nearest first.
//
// A deletion is both the data and the child tables' event (DataTree.deleteNode), so a watcher that has both kinds is told
// once. NodeChildrenChanged never reaches a recursive watch: the child's own event does.
func (t *Table) Trigger(dst []Handle, ev zk.EventType, path string) []Handle {
	if t.live == 0 {
		return dst
	}
	match := matching(ev)
	t.triggers++
	if p, ok := t.paths[path]; ok {
		dst = t.fire(dst, p, match)
	}
	if t.recursive == 0 || match&Recursive == 0 {
		return dst
	}
	for path != zk.Root && path != "" {
		path = zk.Parent(path)
		if p, ok := t.paths[path]; ok {
			dst = t.fireAbove(dst, p)
		}
	}
	return dst
}

// matching is the kinds that an event concerns.
func matching(ev zk.EventType) Kind {
	switch ev {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		return Data | Persistent | Recursive
	case zk.EventNodeDeleted:
		return all
	case zk.EventNodeChildrenChanged:
		return Child | Persistent
	}
	return 0
}

// fire tells the watchers of the path itself. Each has one record here, so none is told twice.
func (t *Table) fire(dst []Handle, p uint32, match Kind) []Handle {
	for i := t.entries[p].first; i != none; {
		r := &t.records[i]
		next := r.nextOnPath
		if r.kinds&match != 0 {
			dst = append(dst, r.watcher)
			t.owners[r.watcher].mark = t.triggers
			if !planted.WatchStays.On() {
				t.keep(i, r.kinds&^(match&oneShot))
			}
		}
		i = next
	}
	return dst
}

// fireAbove tells those that watch an ancestor recursively, unless this event has reached them already.
func (t *Table) fireAbove(dst []Handle, p uint32) []Handle {
	for i := t.entries[p].first; i != none; i = t.records[i].nextOnPath {
		r := &t.records[i]
		if o := &t.owners[r.watcher]; r.kinds&Recursive != 0 && o.mark != t.triggers {
			o.mark = t.triggers
			dst = append(dst, r.watcher)
		}
	}
	return dst
}
