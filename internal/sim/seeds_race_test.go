//go:build race

package sim

// defaultSeeds is smaller under the race detector, which takes ten times as long and has one goroutine to watch.
const defaultSeeds = 20

// raceEnabled says whether the tests run under the race detector.
const raceEnabled = true

// serverSeeds is how many of them with the real server.
const serverSeeds = 10
