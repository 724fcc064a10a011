package tree

import "io"

// Kept is the number of replaced blobs that were not given back yet.
func (t *Tree) Kept() int { return len(t.kept) + len(t.reclaim) }

// RestoreAnyDigest is Restore of a stream whose digest may be wrong: the digest is what stops nearly all that a fuzzer makes.
func (t *Tree) RestoreAnyDigest(r io.Reader) error {
	return t.restore(&loader{in: input{r: r}, anyDigest: true})
}
