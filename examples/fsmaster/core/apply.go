package core

import (
	"maps"
	"slices"
)

// Apply carries out an operation. One that can't be carried out changes nothing, and its result says why.
func (f *FS) Apply(op *Op, e Env) *Result {
	switch {
	case op.Kind == Import:
		return f.importRecords(op)
	case op.Kind == Imported:
		f.next.Importing = false
		return &Result{}
	case f.next.Importing:
		return fail(Importing, "after record %d", f.next.Seq)
	}
	return f.do(op, e)
}

func (f *FS) do(op *Op, e Env) *Result {
	switch op.Kind {
	case Mkdir:
		return f.mkdir(op, e)
	case Create:
		return f.create(op, e)
	case AddBlock:
		return f.addBlock(op, e)
	case Rename:
		return f.rename(op, e)
	case Delete:
		return f.remove(op, e)
	case SetAttr:
		return f.setAttr(op, e)
	case Register:
		return f.register(op, e)
	case Heartbeat:
		return f.heartbeat(op, e)
	case Lose:
		return f.lose(op, e)
	case Mount:
		return f.mount(op)
	case Unmount:
		return f.unmount(op)
	}
	return fail(Invalid, "there is no operation %.40q", op.Kind)
}

// importRecords applies records of another master's journal as that one did: the same inodes, times and results. Each is applied once, whatever is sent again.
func (f *FS) importRecords(op *Op) *Result {
	if len(op.Records) > MaxImport {
		return fail(Invalid, "%d records, at most %d", len(op.Records), MaxImport)
	}
	if !f.next.Importing && (f.count > 1 || len(f.workers) > 0) {
		return fail(Exists, "an import needs a master that has no files yet")
	}
	r := &Result{}
	for i := range op.Records {
		rec := &op.Records[i]
		if rec.Seq <= f.next.Seq {
			continue
		}
		if rec.Seq != f.next.Seq+1 {
			r = fail(Gap, "record %d after %d", rec.Seq, f.next.Seq)
			break
		}
		f.do(&rec.Op, Env{TimeMs: rec.TimeMs, Term: rec.Epoch})
		f.next.Seq, f.next.Importing = rec.Seq, true
		r.Count++
	}
	seq := f.next.Seq
	r.Seq = &seq
	return r
}

func (f *FS) newInode(dir *inode, name string, e Env) *inode {
	f.next.Inode++
	n := &inode{ID: f.next.Inode, Parent: dir.ID, Name: name, MtimeMs: e.TimeMs, CtimeMs: e.TimeMs}
	return n
}

// touch notes that a directory was changed.
func (f *FS) touch(dir *inode, e Env) {
	if dir.MtimeMs != e.TimeMs {
		f.edit(dir, func(n *inode) { n.MtimeMs = e.TimeMs })
	}
}

func (f *FS) mkdir(op *Op, e Env) *Result {
	names, bad := split(op.Path)
	if bad != nil {
		return bad
	}
	if bad := checkAttrs(op, nil); bad != nil {
		return bad
	}
	n := f.get(rootID)
	made := 0
	for i, name := range names { // look first: an operation that fails changes nothing
		id, ok := f.dirs[n.ID][name]
		if !n.Dir {
			return fail(NotDir, "%s", op.Path)
		}
		if !ok {
			if i < len(names)-1 && !op.Parents {
				return fail(NoEnt, "%s", op.Path)
			}
			made = len(names) - i
			break
		}
		n = f.get(id)
	}
	switch {
	case made == 0 && !op.Parents:
		return fail(Exists, "%s", op.Path)
	case made == 0 && !n.Dir:
		return fail(NotDir, "%s", op.Path)
	case made > 0 && !n.Dir:
		return fail(NotDir, "%s", op.Path)
	}
	for _, name := range names[len(names)-made:] {
		d := f.newInode(n, name, e)
		d.Dir, d.Mode, d.Owner = true, 0o755, op.Owner
		if op.Mode != nil {
			d.Mode = *op.Mode
		}
		f.insert(d)
		f.touch(n, e)
		n = d
	}
	return &Result{Info: f.info(n)}
}

func (f *FS) create(op *Op, e Env) *Result {
	dir, name, bad := f.parentOf(op.Path)
	if bad == nil {
		bad = checkAttrs(op, nil)
	}
	if bad != nil {
		return bad
	}
	if _, ok := f.dirs[dir.ID][name]; ok {
		return fail(Exists, "%s", op.Path)
	}
	n := f.newInode(dir, name, e)
	n.Mode, n.Owner, n.Attrs = 0o644, op.Owner, maps.Clone(op.Attrs)
	if op.Mode != nil {
		n.Mode = *op.Mode
	}
	f.insert(n)
	f.touch(dir, e)
	return &Result{Info: f.info(n)}
}

// rename moves an inode, and with it all that is below: one record changes.
func (f *FS) rename(op *Op, e Env) *Result {
	from, name, bad := f.parentOf(op.Path)
	if bad != nil {
		return bad
	}
	id, ok := f.dirs[from.ID][name]
	if !ok {
		return fail(NoEnt, "%s", op.Path)
	}
	to, newName, bad := f.parentOf(op.To)
	if bad != nil {
		return bad
	}
	n := f.get(id)
	for up := to; n.Dir; up = f.get(up.Parent) {
		if up.ID == n.ID {
			return fail(Invalid, "%s lies below %s", op.To, op.Path)
		}
		if up.ID == rootID {
			break
		}
	}
	if there, ok := f.dirs[to.ID][newName]; ok {
		old := f.get(there)
		switch {
		case old == n:
			return &Result{Info: f.info(n)}
		case !op.Replace:
			return fail(Exists, "%s", op.To)
		case old.Dir:
			return fail(IsDir, "%s", op.To)
		case n.Dir:
			return fail(NotDir, "%s", op.To)
		}
		delete(f.dirs[to.ID], newName)
		f.drop(old)
	}
	delete(f.dirs[from.ID], name)
	n = f.edit(n, func(n *inode) { n.Parent, n.Name, n.CtimeMs = to.ID, newName, e.TimeMs })
	f.index(n)
	f.touch(f.get(from.ID), e)
	f.touch(f.get(to.ID), e)
	return &Result{Info: f.info(n)}
}

func (f *FS) remove(op *Op, e Env) *Result {
	dir, name, bad := f.parentOf(op.Path)
	if bad != nil {
		return bad
	}
	id, ok := f.dirs[dir.ID][name]
	if !ok {
		return fail(NoEnt, "%s", op.Path)
	}
	doomed := f.below(f.get(id))
	if len(doomed) > 1 && !op.Recursive {
		return fail(NotEmpty, "%s", op.Path)
	}
	if id := f.firstMount(doomed); id != 0 {
		return fail(Busy, "%s", f.pathOf(id))
	}
	delete(f.dirs[dir.ID], name)
	for _, n := range doomed {
		f.drop(n)
	}
	f.touch(dir, e)
	return &Result{Count: len(doomed)}
}

// below is an inode and all that is below it. The order does not matter: sums do not depend on it.
func (f *FS) below(n *inode) []*inode {
	all := []*inode{n}
	for i := 0; i < len(all); i++ {
		for _, id := range f.dirs[all[i].ID] {
			all = append(all, f.get(id))
		}
	}
	return all
}

// firstMount is the mount point with the lowest number among nodes, 0 if there is none. Not the first one that comes: in what order they come is the map's affair.
func (f *FS) firstMount(nodes []*inode) (first uint64) {
	for _, n := range nodes {
		if _, mounted := f.mounts[n.ID]; mounted && (first == 0 || n.ID < first) {
			first = n.ID
		}
	}
	return first
}

func checkAttrs(op *Op, have map[string]string) *Result {
	if len(op.Owner) > MaxAttr || len(op.Attrs)+len(have) > 2*MaxAttrs {
		return fail(Full, "an owner has at most %d bytes, an inode at most %d attributes", MaxAttr, MaxAttrs)
	}
	count := len(have)
	for k, v := range op.Attrs {
		if k == "" || len(k) > MaxAttr || len(v) > MaxAttr {
			return fail(Invalid, "the name of an attribute has 1 to %d bytes, its value at most as many", MaxAttr)
		}
		if _, ok := have[k]; !ok && v != "" {
			count++
		}
	}
	if count > MaxAttrs {
		return fail(Full, "an inode has at most %d attributes", MaxAttrs)
	}
	return nil
}

func (f *FS) setAttr(op *Op, e Env) *Result {
	n, bad := f.lookup(op.Path)
	if bad == nil {
		bad = checkAttrs(op, n.Attrs)
	}
	if bad != nil {
		return bad
	}
	n = f.edit(n, func(n *inode) {
		n.CtimeMs = e.TimeMs
		if op.Mode != nil {
			n.Mode = *op.Mode
		}
		if op.Owner != "" {
			n.Owner = op.Owner
		}
		for k, v := range op.Attrs {
			switch {
			case v == "":
				delete(n.Attrs, k)
			case n.Attrs == nil:
				n.Attrs = map[string]string{k: v}
			default:
				n.Attrs[k] = v
			}
		}
		if len(n.Attrs) == 0 { // as a snapshot has it
			n.Attrs = nil
		}
	})
	return &Result{Info: f.info(n)}
}

// addBlock gives a file one more block, on the live workers with the most room; of those with as much, the ones with the lower numbers.
func (f *FS) addBlock(op *Op, e Env) *Result {
	n, bad := f.lookup(op.Path)
	switch {
	case bad != nil:
		return bad
	case n.Dir:
		return fail(IsDir, "%s", op.Path)
	case op.Size < 0 || len(n.Blocks) >= MaxBlocks:
		return fail(Invalid, "a block has a size, and a file at most %d of them", MaxBlocks)
	}
	live := slices.DeleteFunc(f.Workers(), func(w Worker) bool { return w.Lost || w.Capacity-w.Used < op.Size })
	if len(live) == 0 {
		return fail(NoWorker, "no live worker has room for %d bytes", op.Size)
	}
	slices.SortStableFunc(live, func(a, b Worker) int {
		return int(min(1, max(-1, (b.Capacity-b.Used)-(a.Capacity-a.Used))))
	})
	f.next.Block++
	b := Block{ID: f.next.Block, Size: op.Size}
	for _, w := range live[:min(replicas, len(live))] {
		b.Workers = append(b.Workers, w.ID)
		f.editWorker(w.ID, func(w *Worker) { w.Used += op.Size })
	}
	slices.Sort(b.Workers)
	f.edit(n, func(n *inode) {
		n.Blocks = append(n.Blocks, b)
		n.Size += op.Size
		n.MtimeMs = e.TimeMs
	})
	return &Result{Block: &b}
}
