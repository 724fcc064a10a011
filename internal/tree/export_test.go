package tree

import "io"

// Kept is the number of replaced blobs that were not given back yet.
func (t *Tree) Kept() int { return len(t.kept) + len(t.reclaim) }

// RestoreAnyDigest is Restore of a stream whose digest may be wrong: the digest is what stops nearly all that a fuzzer makes.
func (t *Tree) RestoreAnyDigest(r io.Reader) error {
	return t.restore(&loader{in: input{r: r}, anyDigest: true})
}

// ParseFigures is parseFigures: count, bytes, countHardLimit, byteHardLimit.
func ParseFigures(data []byte) (figures [4]int64, ok bool) {
	f, ok := parseFigures(data)
	return [4]int64{f.count, f.bytes, f.countHard, f.bytesHard}, ok
}

// SetStagedSize makes what is staged as long as if more had been.
func (t *Tree) SetStagedSize(n int64) {
	t.sum.digest -= t.staged.digest()
	t.staged.size = n
	t.sum.digest += t.staged.digest()
}
