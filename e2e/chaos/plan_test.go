package chaos

import (
	"slices"
	"testing"
	"time"
)

func TestDraw(t *testing.T) {
	const length = 24 * time.Second
	seen := make(map[Kind]int)
	faults, overlaps := 0, 0
	for seed := range uint64(300) {
		p := Draw(seed, 1, 3, true, length)
		if !slices.Equal(p, Draw(seed, 1, 3, true, length)) {
			t.Fatalf("seed %d gives two plans", seed)
		}
		if slices.Equal(p, Draw(seed, 2, 3, true, length)) {
			t.Fatalf("seed %d gives two rounds one plan", seed)
		}
		wipes := 0
		for i, f := range p {
			seen[f.Kind]++
			faults++
			if f.At+f.For > length || f.For <= 0 {
				t.Errorf("seed %d: %v lasts beyond the round", seed, f)
			}
			if f.Kind == Wipe {
				wipes++
			}
			if slices.Contains(badDiskKinds, f.Kind) && slices.Contains(Draw(seed, 1, 3, false, length), f) {
				t.Errorf("seed %d: %v without a file system that can", seed, f)
			}
			for _, g := range p[:i] {
				if g.At+g.For <= f.At {
					continue
				}
				overlaps++
				if sortOf(g.Kind) == sortOf(f.Kind) || f.Kind == Wipe || g.Kind == Wipe {
					t.Errorf("seed %d: %v and %v at the same time", seed, g, f)
				}
			}
		}
		if wipes > 1 {
			t.Errorf("seed %d: %d disks wiped in one round", seed, wipes)
		}
	}
	for _, kinds := range sorts {
		for _, k := range kinds {
			if seen[k] < faults/100 {
				t.Errorf("%q comes %d times among %d faults", k, seen[k], faults)
			}
		}
	}
	if overlaps < faults/20 {
		t.Errorf("of %d faults %d overlap", faults, overlaps)
	}
}

var sorts = [][]Kind{netKinds, processKinds, slices.Concat(diskKinds, badDiskKinds), {Wipe}}

func sortOf(k Kind) int {
	return slices.IndexFunc(sorts, func(s []Kind) bool { return slices.Contains(s, k) })
}
