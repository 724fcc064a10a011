//go:build race

package raftlog

// The race detector makes one goroutine in memory ten times slower and has nothing to find there: it sees a part of the crashes only.
const crashEvery = 5
