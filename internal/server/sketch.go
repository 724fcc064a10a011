package server

import (
	"cmp"
	"math"
	"slices"
)

// sketch counts the heaviest of very many keys in fixed memory: the space-saving algorithm (Metwally, Agrawal, El Abbadi, 2005) with counts that
// fade. A key that is not among the size kept ones takes the place of the lightest and inherits its count as an error: so a count is never too
// low, and too high by at most error. Any key with more than 1/size of the weight is kept. Its owner guards it.
type sketch struct {
	size    int
	index   map[string]int
	talkers []talker
}

// talker is a key with its faded counts.
type talker struct {
	key    string
	count  float64 // requests
	bytes  float64 // of requests
	writes float64 // of count
	error  float64 // by how much count may be too high
}

func newSketch(size int) *sketch {
	return &sketch{size: size, index: make(map[string]int, size), talkers: make([]talker, 0, size)}
}

// add counts weight requests of size bytes each. key is copied if it is new.
func (s *sketch) add(key []byte, weight, bytes, writes float64) {
	i, known := s.index[string(key)]
	if !known {
		i = s.place(string(key))
	}
	t := &s.talkers[i]
	t.count += weight
	t.bytes += weight * bytes
	t.writes += writes
}

// place makes room for a new key.
func (s *sketch) place(key string) int {
	if len(s.talkers) < s.size {
		s.talkers = append(s.talkers, talker{key: key})
		s.index[key] = len(s.talkers) - 1
		return len(s.talkers) - 1
	}
	lightest := 0
	for i := range s.talkers {
		if s.talkers[i].count < s.talkers[lightest].count {
			lightest = i
		}
	}
	old := &s.talkers[lightest]
	delete(s.index, old.key)
	*old = talker{key: key, count: old.count, error: old.count}
	s.index[key] = lightest
	return lightest
}

// fade multiplies every count by f.
func (s *sketch) fade(f float64) {
	for i := range s.talkers {
		t := &s.talkers[i]
		t.count *= f
		t.bytes *= f
		t.writes *= f
		t.error *= f
	}
}

// heaviest is the n talkers that have the most for certain, the heaviest first.
func (s *sketch) heaviest(n int) []talker {
	all := slices.Clone(s.talkers)
	slices.SortFunc(all, func(a, b talker) int {
		return cmp.Or(cmp.Compare(b.count-b.error, a.count-a.error), cmp.Compare(a.key, b.key))
	})
	return all[:min(n, len(all))]
}

// fadeFactor is what is left after seconds.
func fadeFactor(seconds, halfLife float64) float64 { return math.Exp2(-seconds / halfLife) }

// fadedSeconds is the time over which a steady rate has added up to a faded count, when counting began age seconds ago.
func fadedSeconds(age, halfLife float64) float64 {
	return halfLife / math.Ln2 * (1 - fadeFactor(age, halfLife))
}
