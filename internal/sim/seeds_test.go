//go:build !race

package sim

// defaultSeeds is how many seeds a plain run of the tests takes.
const defaultSeeds = 60
