package krb5

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// replays remembers authenticators, so that none is taken twice. Two generations of the same length: an authenticator stays for at least one of them,
// and one is longer than any clock would let it live.
type replays struct {
	mu      sync.Mutex
	now     map[[16]byte]struct{}
	before  map[[16]byte]struct{}
	started time.Time
	max     int
}

var (
	errReplay  = errors.New("the authenticator was used before")
	errReplays = errors.New("too many clients have authenticated themselves within the time that their tickets have to be remembered")
)

func newReplays(max int) *replays { return &replays{now: make(map[[16]byte]struct{}), max: max} }

// add notes an authenticator, or says why it must not be taken.
func (r *replays) add(authenticator []byte, at time.Time) error {
	sum := sha256.Sum256(authenticator)
	key := [16]byte(sum[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.Sub(r.started) >= 2*MaxSkew {
		r.before, r.now, r.started = r.now, make(map[[16]byte]struct{}), at
	}
	_, a := r.now[key]
	_, b := r.before[key]
	switch {
	case a || b:
		return errReplay
	case len(r.now)+len(r.before) >= r.max:
		return errReplays
	}
	r.now[key] = struct{}{}
	return nil
}
