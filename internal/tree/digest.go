package tree

import "github.com/cespare/xxhash/v2"

// The digest is a sum, modulo 2^64, of one term per fact, so that a write adds what it made and subtracts what it replaced:
//
//	digest = Σ over nodes (body + tail + guard) + Σ over sessions session + staged + replaced, then folded with the last zxid
//
// Every term starts from the hash of the node's path: so equal digests mean equal paths, whatever the layout in memory. The
// figures are the same on every machine and in every version that reads the same log.
const (
	digestBody     = 0x8ebc6af09c88c6e3
	digestTail     = 0x589965cc75374cc3
	digestGuard    = 0x1d8e4e27c47d124f
	digestSession  = 0xeb44accab455d165
	digestStaged   = 0x9ae16a3b2f90404f
	digestReplaced = 0xc3a5c85c97cb3127
	digestStep     = 0xa0761d6478bd642f
	digestMix      = 0xe7037ed1a0b428db
)

// digester chains words.
type digester uint64

func (d digester) add(v uint64) digester {
	return digester(fold(uint64(d)^digestStep, v^digestMix) + uint64(d)>>7)
}

// bodyDigest covers what setData changes and what never changes. data is the node's, owner its session or TTL.
func bodyDigest(path uint64, r *record, owner int64, data []byte) uint64 {
	return uint64(digester(path ^ digestBody).
		add(uint64(r.czxid)).add(uint64(r.mzxid)).add(uint64(r.ctime)).add(uint64(r.mtime)).
		add(uint64(uint32(r.version)) | uint64(uint32(r.dataLen))<<32).add(uint64(owner)).
		add(uint64(r.kind())).add(xxhash.Sum64(data)))
}

// tailDigest covers what a child's creation or deletion changes. The number of children follows from the nodes.
func tailDigest(path uint64, r *record) uint64 {
	return uint64(digester(path ^ digestTail).add(uint64(r.pzxid)).add(uint64(uint32(r.cversion))))
}

// guardDigest covers what setACL changes.
func guardDigest(path uint64, r *record, acl uint64) uint64 {
	return uint64(digester(path ^ digestGuard).add(uint64(uint32(r.aversion))).add(acl))
}

func sessionDigest(s *session) uint64 {
	return uint64(digester(uint64(s.id) ^ digestSession).add(s.owner).add(uint64(uint32(s.timeoutMs))).
		add(xxhash.Sum64(s.passwd[:])))
}

// pathDigest is the hash that a node's terms start from. The root is "/".
func pathDigest(path string) uint64 {
	if path == "" {
		path = "/"
	}
	return xxhash.Sum64String(path)
}

func (t *Tree) nodeBody(path uint64, r *record) uint64 {
	return bodyDigest(path, r, t.ownerValue(r), t.data(r))
}

func (t *Tree) nodeGuard(path uint64, r *record) uint64 {
	return guardDigest(path, r, t.acls.at(r.acl).digest)
}

// Digest is a hash over all nodes, all sessions and the last zxid: equal on servers that have applied the same log.
func (t *Tree) Digest() uint64 { return foldDigest(t.sum.digest, t.zxid) }

func foldDigest(sum uint64, zxid int64) uint64 { return uint64(digester(sum).add(uint64(zxid))) }
