package core

// editWorker changes a worker.
func (f *FS) editWorker(id uint64, change func(w *Worker)) {
	w := *f.workers[id]
	f.sum -= hashOf(w)
	change(&w)
	f.sum += hashOf(w)
	f.workers[id] = &w
}

// register makes a worker known. One that comes back under its address is the same one, with nothing: it will report what it has.
func (f *FS) register(op *Op, e Env) *Result {
	if op.Addr == "" || len(op.Addr) > MaxAttr || op.Size <= 0 {
		return fail(Invalid, "a worker has an address of at most %d bytes and a capacity", MaxAttr)
	}
	for _, w := range f.Workers() {
		if w.Addr == op.Addr {
			f.editWorker(w.ID, func(w *Worker) { w.Capacity, w.SeenMs, w.Lost = op.Size, e.TimeMs, false })
			return &Result{Worker: w.ID}
		}
	}
	if len(f.workers) >= MaxWorkers {
		return fail(Full, "there are %d workers", len(f.workers))
	}
	f.next.Worker++
	w := Worker{ID: f.next.Worker, Addr: op.Addr, Capacity: op.Size, SeenMs: e.TimeMs}
	f.workers[w.ID] = &w
	f.sum += hashOf(w)
	return &Result{Worker: w.ID}
}

func (f *FS) heartbeat(op *Op, e Env) *Result {
	w := f.workers[op.Worker]
	if w == nil || w.Lost {
		return fail(NoWorker, "worker %d is not registered, or lost; register again", op.Worker)
	}
	f.editWorker(op.Worker, func(w *Worker) { w.SeenMs, w.Used = e.TimeMs, op.Used })
	return &Result{}
}

// lose takes a worker for lost. It was decided by one who led in a term, out of what it knew then: a later heartbeat, or another term, makes it void.
func (f *FS) lose(op *Op, e Env) *Result {
	w := f.workers[op.Worker]
	switch {
	case op.Term != e.Term:
		return fail(Stale, "worker %d", op.Worker)
	case w == nil || w.Lost || w.SeenMs > op.Since:
		return fail(NoWorker, "worker %d is not overdue", op.Worker)
	}
	f.editWorker(op.Worker, func(w *Worker) { w.Lost = true })
	return &Result{Worker: op.Worker}
}

func (f *FS) mount(op *Op) *Result {
	n, bad := f.lookup(op.Path)
	switch {
	case bad != nil:
		return bad
	case !n.Dir:
		return fail(NotDir, "%s", op.Path)
	case len(f.dirs[n.ID]) > 0:
		return fail(NotEmpty, "%s", op.Path)
	case f.mounts[n.ID] != "":
		return fail(Exists, "%s has %s mounted", op.Path, f.mounts[n.ID])
	case op.To == "" || len(op.To) > MaxAttr:
		return fail(Invalid, "a URI has 1 to %d bytes", MaxAttr)
	case len(f.mounts) >= MaxMounts:
		return fail(Full, "there are %d mounts", len(f.mounts))
	}
	f.mounts[n.ID] = op.To
	f.sum += hashOf([]any{n.ID, op.To})
	return &Result{Info: f.info(n)}
}

func (f *FS) unmount(op *Op) *Result {
	n, bad := f.lookup(op.Path)
	if bad != nil {
		return bad
	}
	uri, ok := f.mounts[n.ID]
	if !ok {
		return fail(NoEnt, "%s is no mount point", op.Path)
	}
	f.sum -= hashOf([]any{n.ID, uri})
	delete(f.mounts, n.ID)
	return &Result{Info: f.info(n)}
}
