package tree

import (
	"strings"

	"gopherwood/zk"
)

// A quota on /a/b is two nodes, which ZooKeeper's shell makes and anybody may (Quotas, DataTree):
//
//	/zookeeper/quota/a/b/zookeeper_limits   "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=7", the client's to write
//	/zookeeper/quota/a/b/zookeeper_stats    "count=3,bytes=120", kept up to date by the tree
//
// The figures are the data of an ordinary node, changed by the commands that change what they count: so they are in snapshots and in the digest
// like all else, and the same on every server. Only the trie below, which says where the quotas are, is not stored: it follows
// from the nodes.
const (
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"
)

// quotaTrie is the paths that have a quota (PathTrie). The zero value has none.
//
//	count = directories with limits != 0
type quotaTrie struct {
	top   quotaDir
	count int
}

// quotaDir is an element of such a path.
type quotaDir struct {
	below         map[string]*quotaDir // only looked up
	limits, stats uint32               // records of the two nodes; 0: there is none
}

// covering is the deepest path with a quota that is path or above it; nil if there is none.
func (q *quotaTrie) covering(path string) (on string, d *quotaDir) {
	if path == zk.Root {
		return "", nil
	}
	at := &q.top
	for start := 1; start <= len(path); {
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		if at = at.below[path[start:end]]; at == nil {
			break
		}
		if at.limits != 0 {
			on, d = path[:end], at
		}
		start = end + 1
	}
	return on, d
}

// set notes the record of one of a quota's nodes, or 0 when it is gone; directories that say nothing any more go with it.
func (q *quotaTrie) set(on, name string, id uint32) { q.top.set(q, on[1:], name, id) }

func (d *quotaDir) set(q *quotaTrie, rest, name string, id uint32) {
	if rest == "" {
		if name == statsName {
			d.stats = id
			return
		}
		if d.limits != 0 {
			q.count--
		}
		if d.limits = id; id != 0 {
			q.count++
		}
		return
	}
	element, rest, _ := strings.Cut(rest, "/")
	next := d.below[element]
	if next == nil {
		if id == 0 {
			return
		}
		if d.below == nil {
			d.below = make(map[string]*quotaDir)
		}
		next = new(quotaDir)
		d.below[strings.Clone(element)] = next
	}
	next.set(q, rest, name, id)
	if next.limits == 0 && next.stats == 0 && len(next.below) == 0 {
		delete(d.below, element)
	}
}

// quotaOn is the path that the quota node called name below parent is about; "" if it is no quota node. There are no quotas on the root, which
// ZooKeeper has none on either, nor on /zookeeper and below: a full one there would keep everybody from setting quotas.
func quotaOn(parent, name string) string {
	if !isQuotaName(name) {
		return ""
	}
	on, ok := strings.CutPrefix(parent, quotaPath)
	if !ok || on == "" || on[0] != '/' || on == zookeeperPath || strings.HasPrefix(on, zookeeperPath+"/") {
		return ""
	}
	return on
}

func isQuotaName(name string) bool { return name == limitsName || name == statsName }

// quotaMade is called after the node name was made, or put back, below parent.
func (t *Tree) quotaMade(parent, name string, id uint32) (on string) {
	if on = quotaOn(parent, name); on != "" {
		t.quotas.set(on, name, id)
	}
	return on
}

// quotaGone is called when the node name below parent is taken out.
func (t *Tree) quotaGone(parent, name string) {
	if isQuotaName(name) {
		if on := quotaOn(parent, name); on != "" {
			t.quotas.set(on, name, 0)
		}
	}
}

// quotaUndone is quotaMade or quotaGone for a node that a rollback has put back (id) or takes out again (0).
func (t *Tree) quotaUndone(r *record, id uint32) {
	if name := alias(t.name(r)); isQuotaName(name) {
		if on := quotaOn(string(t.appendPath(nil, r.parent)), name); on != "" {
			t.quotas.set(on, name, id)
		}
	}
}

// created brings the figures up to date after path was made: first its own, if it is where some are kept (DataTree.createNode).
func (t *Tree) created(path, parent, name string, id uint32, bytes int) {
	if isQuotaName(name) {
		if on := t.quotaMade(parent, name, id); on != "" && name == statsName {
			t.recount(on, id)
		}
	}
	t.charge(path, 1, int64(bytes))
}

// charge adds to the figures of the quota that path is under. Of nested ones that is the deepest alone, as in ZooKeeper.
func (t *Tree) charge(path string, count, bytes int64) {
	if t.quotas.count != 0 && count|bytes != 0 {
		t.chargeTo(path, count, bytes)
	}
}

func (t *Tree) chargeTo(path string, count, bytes int64) {
	on, d := t.quotas.covering(path)
	if d == nil || d.stats == 0 {
		return
	}
	f, ok := parseFigures(t.data(t.nodes.at(d.stats)))
	if !ok || f.count < 0 || f.bytes < 0 { // a client has written something else there
		t.recount(on, d.stats)
		return
	}
	t.putFigures(on, d.stats, f.count+count, f.bytes+bytes)
}

// recount counts everything from on downwards (DataTree.updateQuotaForPath). It costs a step for each node.
func (t *Tree) recount(on string, stats uint32) {
	var count, bytes int64
	if top := t.find(on); top != 0 {
		for id := top; id != 0; id = t.after(id, top) {
			count++
			bytes += int64(max(t.nodes.at(id).dataLen, 0))
		}
	}
	t.putFigures(on, stats, count, bytes)
}

// putFigures replaces the data of a stats node, and nothing else of it: no version, no time, no event (DataTree.updateQuotaStat).
func (t *Tree) putFigures(on string, id uint32, count, bytes int64) {
	var buf [64]byte
	data := appendFigures(buf[:0], count, bytes)
	t.quotaBuf = append(append(append(append(t.quotaBuf[:0], quotaPath...), on...), '/'), statsName...)
	d := pathDigest(alias(t.quotaBuf))
	r := t.nodes.edit(id)
	t.undo = append(t.undo, undo{op: zk.OpSetData, id: id, before: *r})
	t.sum.digest -= t.nodeBody(d, r)
	t.sum.size += int64(len(data) - max(int(r.dataLen), 0))
	t.putBlob(r, statsName, data)
	t.sum.digest += t.nodeBody(d, r)
}

// checkQuota says whether path may grow by so much, and notes in the result what is beyond its limit (ZooKeeperServer.checkQuota). A hard
// limit stands in for the soft one of its kind. Limits that cannot be read, or without figures to compare with, hold nobody up.
func (t *Tree) checkQuota(x *txn, path string, count, bytes int64) zk.Code {
	if t.quotas.count == 0 {
		return zk.OK
	}
	return t.compareQuota(x, path, count, bytes)
}

func (t *Tree) compareQuota(x *txn, path string, count, bytes int64) zk.Code {
	on, d := t.quotas.covering(path)
	if d == nil || d.stats == 0 {
		return zk.OK
	}
	limit, ok := parseFigures(t.data(t.nodes.at(d.limits)))
	if !ok {
		x.exceeds(QuotaExcess{Path: on, Unit: QuotaMalformed})
		return zk.OK
	}
	now, ok := parseFigures(t.data(t.nodes.at(d.stats)))
	if !ok {
		return zk.OK
	}
	if e, beyond := limit.exceeded(QuotaCount, now.count, count); beyond && x.beyond(on, e) {
		return zk.ErrQuotaExceeded
	}
	if e, beyond := limit.exceeded(QuotaBytes, now.bytes, bytes); beyond && x.beyond(on, e) {
		return zk.ErrQuotaExceeded
	}
	return zk.OK
}

// beyond notes an excess and says whether the write is refused for it.
func (x *txn) beyond(on string, e QuotaExcess) bool {
	e.Path = on
	e.Refused = e.Hard && x.enforce
	x.exceeds(e)
	return e.Refused
}

func (x *txn) exceeds(e QuotaExcess) {
	if len(x.r.Quotas) < maxQuotaNotes {
		x.r.Quotas = append(x.r.Quotas, e)
	}
}

// dataGrowth is what a node's data add when they become data.
func dataGrowth(r *record, data []byte) int64 { return int64(len(data) - max(int(r.dataLen), 0)) }

// findQuotas makes the trie anew from the nodes.
func (t *Tree) findQuotas() {
	t.quotas = quotaTrie{}
	top := t.find(quotaPath)
	if top == 0 {
		return
	}
	for id := t.after(top, top); id != 0; id = t.after(id, top) {
		t.quotaUndone(t.nodes.at(id), id)
	}
}
