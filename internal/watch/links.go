package watch

// find is the record of w on path, or none.
func (t *Table) find(w Handle, path string) uint32 {
	p, ok := t.paths[path]
	if !ok {
		return none
	}
	return t.keys[key(p, w)]
}

// newEntry makes an entry for a path that has none.
func (t *Table) newEntry(name string) uint32 {
	p := t.freeEntry
	if p == none {
		t.entries = append(t.entries, pathEntry{})
		p = uint32(len(t.entries) - 1)
	} else {
		t.freeEntry = t.entries[p].first
	}
	t.entries[p] = pathEntry{name: name}
	t.paths[name] = p
	return p
}

// link makes a record, last of its path and first of its watcher.
func (t *Table) link(w Handle, p uint32, k Kind) {
	i := t.freeRecord
	if i == none {
		t.records = append(t.records, record{})
		i = uint32(len(t.records) - 1)
	} else {
		t.freeRecord = t.records[i].nextOnPath
	}
	e, o := &t.entries[p], &t.owners[w]
	t.records[i] = record{watcher: w, path: p, prevOnPath: e.last, nextOfWatcher: o.first}
	if e.last == none {
		e.first = i
	} else {
		t.records[e.last].nextOnPath = i
	}
	e.last = i
	if o.first != none {
		t.records[o.first].prevOfWatcher = i
	}
	o.first = i
	if o.count++; o.count == 1 {
		t.watchers++
	}
	t.live++
	t.keys[key(p, w)] = i
	t.setKinds(&t.records[i], k)
}

// setKinds changes a record's kinds and what is counted of them.
func (t *Table) setKinds(r *record, k Kind) {
	t.count(r.kinds, -1)
	r.kinds = k
	t.count(k, +1)
}

func (t *Table) count(k Kind, by int) {
	if k&Recursive != 0 {
		t.recursive += by
	}
	if k&(Data|Persistent|Recursive) != 0 {
		t.inData += by
	}
	if k&(Child|Persistent) != 0 {
		t.inChild += by
	}
}

// keep leaves record i with kinds k, and takes it out if that is nothing.
func (t *Table) keep(i uint32, k Kind) {
	r := &t.records[i]
	t.setKinds(r, k)
	if k != 0 {
		return
	}
	t.unlink(r)
	*r = record{nextOnPath: t.freeRecord}
	t.freeRecord = i
}

// unlink takes a record out of both lists and of keys, and its path's entry with it if it was the last.
func (t *Table) unlink(r *record) {
	e, o := &t.entries[r.path], &t.owners[r.watcher]
	if r.prevOnPath == none {
		e.first = r.nextOnPath
	} else {
		t.records[r.prevOnPath].nextOnPath = r.nextOnPath
	}
	if r.nextOnPath == none {
		e.last = r.prevOnPath
	} else {
		t.records[r.nextOnPath].prevOnPath = r.prevOnPath
	}
	if r.prevOfWatcher == none {
		o.first = r.nextOfWatcher
	} else {
		t.records[r.prevOfWatcher].nextOfWatcher = r.nextOfWatcher
	}
	if r.nextOfWatcher != none {
		t.records[r.nextOfWatcher].prevOfWatcher = r.prevOfWatcher
	}
	if o.count--; o.count == 0 {
		t.watchers--
	}
	t.live--
	delete(t.keys, key(r.path, r.watcher))
	if e.first == none {
		delete(t.paths, e.name)
		*e = pathEntry{first: t.freeEntry}
		t.freeEntry = r.path
	}
}

// shrink gives an empty table's memory back: maps and slices keep their largest size otherwise.
func (t *Table) shrink() {
	if t.live == 0 && len(t.records) > shrinkBelow {
		t.clear()
	}
}
