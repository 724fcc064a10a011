package raftha

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/replica/replicatest"
)

func TestConforms(t *testing.T) {
	kinds := []core.Kind{core.Mkdir, core.Mkdir, core.Create, core.Create, core.Rename, core.Rename, core.Delete, core.SetAttr, core.AddBlock, core.Register, core.Heartbeat, core.Lose, core.Mount, core.Unmount, "nonsense"}
	replicatest.Test(t, replicatest.Kit{
		New: NewMachine,
		Command: func(r *rand.Rand) []byte {
			path := func() string {
				var b strings.Builder
				for range 1 + r.IntN(3) {
					fmt.Fprintf(&b, "/%c", 'a'+rune(r.IntN(6)))
				}
				return b.String()
			}
			op := core.Op{Kind: kinds[r.IntN(len(kinds))], Path: path(), To: path(), Parents: r.IntN(2) == 0, Recursive: r.IntN(4) == 0, Replace: r.IntN(2) == 0,
				Owner: "o", Attrs: map[string]string{path(): path(), path(): path()}, Addr: path(), Size: 1 + r.Int64N(1000), Worker: 1 + r.Uint64N(5), Since: 1 << 50, Term: 2 + r.Uint64N(2)}
			b := op.Append(nil)
			if r.IntN(50) == 0 { // what a client or a disk might make of it
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
			return b
		},
		Seeds: 5,
	})
}
