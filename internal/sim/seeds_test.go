//go:build !race

package sim

// defaultSeeds is how many seeds a plain run of the tests takes.
const defaultSeeds = 60

// raceEnabled says whether the tests run under the race detector.
const raceEnabled = false

// serverSeeds is how many of them with the real server.
const serverSeeds = 40
