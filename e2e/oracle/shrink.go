package oracle

import "slices"

// Shrink makes a script shorter as long as fails says that it still fails. fails must be true of steps; it is asked at most maxRuns times.
// What is left is a script of which no step can be taken away, unless the runs were used up.
func Shrink(steps []Step, fails func([]Step) bool) []Step {
	runs := 0
	try := func(candidate []Step) bool {
		if runs++; runs > maxRuns || !fails(candidate) {
			return false
		}
		steps = candidate
		return true
	}
	for size := len(steps) / 2; size > 0; {
		shorter := false
		for at := len(steps) - size; at >= 0; at -= size {
			if at+size <= len(steps) && try(slices.Delete(slices.Clone(steps), at, at+size)) {
				shorter = true
			}
		}
		if !shorter || size > len(steps)/2 {
			size = min(size/2, max(len(steps)/2, 1))
			if shorter && size == 0 {
				size = 1
			}
		}
	}
	for i := 0; i < len(steps); i++ {
		simplify(steps[i], func(s Step) bool {
			candidate := slices.Clone(steps)
			candidate[i] = s
			return try(candidate)
		})
	}
	return steps
}

// simplify takes away what a step can do without.
func simplify(s Step, try func(Step) bool) {
	for i := len(s.Members) - 1; i >= 0; i-- {
		c := s
		if c.Members = slices.Delete(slices.Clone(s.Members), i, i+1); try(c) {
			s = c
		}
	}
	for i := range s.Paths {
		for j := len(s.Paths[i]) - 1; j >= 0; j-- {
			c := s
			if c.Paths[i] = slices.Delete(slices.Clone(s.Paths[i]), j, j+1); try(c) {
				s = c
			}
		}
	}
	for _, plain := range []func(*Step){
		func(c *Step) { c.Fill, c.Data = 0, []byte{} },
		func(c *Step) { c.ACL = anyone },
		func(c *Step) { c.Flags = 0 },
		func(c *Step) { c.Version = -1 },
		func(c *Step) { c.Watch = false },
		func(c *Step) { c.Chroot = "" },
	} {
		c := s
		if plain(&c); c.String() != s.String() && try(c) {
			s = c
		}
	}
}
