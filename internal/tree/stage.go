package tree

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"

	"gopherwood/zk"
)

// A running ensemble takes over another state in steps of the log, so that all of it comes to the same one, whoever dies on the way:
//
//	KindStage, as often as needed     the bytes of a snapshot gather in the tree, beside the state, which goes on changing
//	KindRestore                       they become the state, in one command; or nothing happens
//	KindUnstage                       or they are thrown away
//
// Staged bytes are state like any other: they are in the digest and in snapshots. Those that nobody adds to are given up after stagedForMs.
//
// What clients were promised decides what of the present outlives a KindRestore:
//
//   - zxids do not fall: the restore takes one above both states', and setWatches takes every node for changed since (WatchState);
//   - a session of the new state stays if it is a live one that has the same ephemeral nodes in both, or none that lives now: its client may still be
//     there. Any other is ended, so whoever has lost an ephemeral node, a lock maybe, or has one again that it had given up, gets to know;
//   - /zookeeper/config keeps its data: who the members are is not for a snapshot to say.

// staged are the bytes of a snapshot that gather. Chunks are never changed, so a View may show them.
type staged struct {
	id     uint64        // chosen by who sends them; not 0
	timeMs int64         // of the last chunk
	sum    xxhash.Digest // of the bytes so far, however they were cut
	size   int64
	chunks [][]byte
}

func newStaged(id uint64, timeMs int64) *staged {
	s := &staged{id: id, timeMs: timeMs}
	s.sum.Reset()
	return s
}

// digest is the term of the tree's digest.
func (s *staged) digest() uint64 {
	return uint64(digester(s.id ^ digestStaged).add(s.sum.Sum64()).add(uint64(s.size)).add(uint64(s.timeMs)))
}

func (s *staged) add(chunk []byte) {
	s.chunks = append(s.chunks, chunk)
	s.size += int64(len(chunk))
	_, _ = s.sum.Write(chunk) // never fails
}

// reader reads the bytes from the first.
func (s *staged) reader() io.Reader {
	all := make([]io.Reader, len(s.chunks))
	for i, c := range s.chunks {
		all[i] = bytes.NewReader(c)
	}
	return io.MultiReader(all...)
}

func replacedDigest(zxid int64) uint64 { return uint64(digester(digestReplaced).add(uint64(zxid))) }

// stage adds a chunk. The first chunk of another snapshot takes the place of what was staged before: the one that comes last wins.
func (t *Tree) stage(x *txn, c *Command) {
	s := t.staged
	if s == nil || s.id != c.Stage {
		s = newStaged(c.Stage, 0)
	}
	if c.Stage == 0 || c.Offset != uint64(s.size) || len(c.Data) == 0 || int64(len(c.Data)) > MaxStagedBytes-s.size {
		x.r.Code = zk.ErrBadArguments
		return
	}
	if s == t.staged {
		t.sum.digest -= s.digest()
	} else {
		t.unstage()
		t.staged = s
	}
	s.add(bytes.Clone(c.Data))
	s.timeMs = x.env.TimeMs
	t.sum.digest += s.digest()
}

// unstage throws away what is staged.
func (t *Tree) unstage() {
	if t.staged != nil {
		t.sum.digest -= t.staged.digest()
		t.staged = nil
	}
}

// forgetStaged gives up what nobody has added to for long: its sender is gone.
func (t *Tree) forgetStaged(nowMs int64) {
	if t.staged != nil && nowMs-t.staged.timeMs > stagedForMs {
		t.unstage()
	}
}

// restoreStaged makes what is staged the state, if it is complete and a snapshot. It takes a zxid. No watch is told: whoever has watches has to leave
// them again.
func (t *Tree) restoreStaged(x *txn, c *Command) {
	s := t.staged
	if s == nil || s.id != c.Stage || uint64(s.size) != c.Offset {
		x.r.Code = zk.ErrBadArguments
		return
	}
	t.unstage()
	old := *t // to be read only, or put back: its pages count on the Tree that they are of
	if err := t.takeOver(s.reader()); err != nil {
		*t = old
		x.r.Code = zk.ErrMarshalling
		return
	}
	t.unstage() // what the snapshot had staged
	t.zxid = max(t.zxid, old.zxid)
	t.begin(x)
	t.setReplaced(t.zxid)
	t.keepConfig(&old)
	t.settleSessions(x, &old)
	x.r.Events = x.r.Events[:0]
}

// takeOver is Restore of a state that clients can live with.
func (t *Tree) takeOver(r io.Reader) error {
	if err := t.Restore(r); err != nil {
		return err
	}
	if t.zxid > maxRestoredZxid {
		return &CorruptError{Reason: fmt.Sprintf("its zxid %#x is more than there can have been", t.zxid)}
	}
	for _, path := range []string{zookeeperPath, quotaPath, configPath} {
		id := t.find(path)
		if id == 0 {
			return &CorruptError{Reason: fmt.Sprintf("there is no %s in it", path)}
		}
		if t.nodes.at(id).kind() != persistent {
			return &CorruptError{Reason: path + " would not stay"}
		}
	}
	return nil
}

// CheckSnapshot reads a snapshot to its end, as KindRestore will, and says whether that can succeed, and its last zxid. It takes the memory of the
// state while it runs.
func CheckSnapshot(o Options, r io.Reader) (zxid int64, err error) {
	t := &Tree{options: o}
	if err := t.takeOver(r); err != nil {
		return 0, err
	}
	return t.zxid, nil
}

func (t *Tree) setReplaced(zxid int64) {
	if t.replaced != 0 {
		t.sum.digest -= replacedDigest(t.replaced)
	}
	t.replaced = zxid
	t.sum.digest += replacedDigest(zxid)
}

// keepConfig gives /zookeeper/config the data that it has in old, with their version and time, and its ACL: who the members are, and who may say so, is not for a
// snapshot to say.
func (t *Tree) keepConfig(old *Tree) {
	id, was := t.find(configPath), old.nodes.at(old.find(configPath))
	r := t.nodes.edit(id)
	d := pathDigest(configPath)
	t.sum.digest -= t.nodeBody(d, r)
	t.sum.size += int64(max(was.dataLen, 0) - max(r.dataLen, 0))
	before := r.blob()
	t.putBlob(r, alias(t.name(r)), old.data(was))
	t.releaseBlob(id, before)
	r.version, r.mzxid, r.mtime = was.version, was.mzxid, was.mtime
	t.sum.digest -= t.nodeGuard(d, r)
	given := r.acl
	r.acl, r.aversion = t.acls.intern(old.acls.at(was.acl).list), was.aversion
	t.acls.hold(r.acl)
	t.acls.drop(given)
	t.sum.digest += t.nodeGuard(d, r)
	t.sum.digest += t.nodeBody(d, r)
}

// settleSessions decides about every session of the new state, and of old. The order is that of the ids.
func (t *Tree) settleSessions(x *txn, old *Tree) {
	for _, id := range t.sessions.ids() {
		slot := old.sessions.byID[id]
		if slot == 0 {
			continue
		}
		was := *old.sessions.at(slot)
		if s := t.sessions.at(t.sessions.byID[id]); s.passwd != was.passwd || !t.sameEphemerals(s, old, &was) {
			t.dropSession(x, id)
			continue
		}
		s := t.sessions.edit(t.sessions.byID[id])
		t.sum.digest -= sessionDigest(s)
		s.owner, s.timeoutMs = was.owner, was.timeoutMs
		t.sum.digest += sessionDigest(s)
	}
	x.r.Closed = x.r.Closed[:0]
	for _, id := range old.sessions.ids() {
		if t.sessions.byID[id] == 0 {
			x.r.Closed = append(x.r.Closed, ClosedSession{ID: id, Owner: old.sessions.at(old.sessions.byID[id]).owner})
		}
	}
}

// ids is all sessions in order.
func (st *sessionTable) ids() []int64 {
	ids := make([]int64, 0, len(st.byID))
	for slot := uint32(1); slot < st.next; slot++ {
		if id := st.at(slot).id; id != 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare[int64])
	return ids
}

// sameEphemerals says whether a session's ephemeral nodes are those that it has in old: of the same paths, made by the same transactions.
func (t *Tree) sameEphemerals(s *session, old *Tree, was *session) bool {
	if s.nodes != was.nodes {
		return false
	}
	var path []byte
	for id := s.head; id != 0; id = t.nodes.at(id).child {
		path = t.appendPath(path[:0], id)
		other := old.find(alias(path))
		if other == 0 {
			return false
		}
		r := old.nodes.at(other)
		if r.kind() != ephemeral || r.owner != s.id || r.czxid != t.nodes.at(id).czxid {
			return false
		}
	}
	return true
}
