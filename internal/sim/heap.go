package sim

// event is something that happens at a time. Two at the same time happen in the order in which they were scheduled.
type event struct {
	at  int64 // microseconds
	seq uint64
	do  func()
}

// eventHeap is a binary heap of events, the next one first.
type eventHeap struct {
	events []event
	seq    uint64
}

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

func (h *eventHeap) push(at int64, do func()) {
	h.seq++
	h.events = append(h.events, event{at: at, seq: h.seq, do: do})
	i := len(h.events) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.events[i].before(&h.events[parent]) {
			break
		}
		h.events[i], h.events[parent] = h.events[parent], h.events[i]
		i = parent
	}
}

func (h *eventHeap) pop() (event, bool) {
	if len(h.events) == 0 {
		return event{}, false
	}
	top := h.events[0]
	last := len(h.events) - 1
	h.events[0] = h.events[last]
	h.events[last] = event{}
	h.events = h.events[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top, true
		}
		if child+1 < last && h.events[child+1].before(&h.events[child]) {
			child++
		}
		if !h.events[child].before(&h.events[i]) {
			return top, true
		}
		h.events[i], h.events[child] = h.events[child], h.events[i]
		i = child
	}
}
