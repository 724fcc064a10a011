package e2e

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
	"gopherwood/e2e/internal/raw"
)

// bucket is how finely the load on TestSnapshotUnderLoad is counted.
const bucket = 50 * time.Millisecond

// TestSnapshotUnderLoad fills three servers, writes on as fast as they go, and compares the writes per second while snapshots are being written
// with those while none is.
func TestSnapshotUnderLoad(t *testing.T) {
	need(t)
	if target() == ensemble.ZooKeeper {
		t.Skip("the test reads Gopherwood's log")
	}
	n := setting(t, "GOPHERWOOD_E2E_ZNODES", 100_000)
	seconds := 6
	if strict() {
		seconds = 40
	}
	e := ensemble.Start(t, ensemble.Options{Target: target(), Servers: 3})
	addrs := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		addrs[i] = s.Addr()
	}
	fill(t, addrs, n)
	start := time.Now()
	counts := writeOn(t, addrs, time.Duration(seconds)*time.Second)
	if t.Failed() {
		return
	}
	writing := make([]int, len(counts)) // servers, in each bucket
	snapshots := 0
	for _, s := range e.Servers {
		for _, w := range snapshotsWritten(t, s) {
			from, to := int(w.from.Sub(start)/bucket), int(w.to.Sub(start)/bucket)
			for i := max(from, 0); i <= min(to, len(writing)-1); i++ {
				writing[i]++
			}
			if to >= 0 {
				snapshots++
			}
		}
	}
	var sum, buckets [4]int
	for i, c := range counts[1 : len(counts)-1] { // the ends are cut short
		sum[writing[i+1]] += c
		buckets[writing[i+1]]++
	}
	var rate [4]int
	for k := range rate {
		if buckets[k] > 0 {
			rate[k] = int(float64(sum[k]) / float64(buckets[k]) / bucket.Seconds())
		}
	}
	t.Logf("FIGURE snapshots: %d znodes, %d snapshots in %d s; sets a second while 0, 1, 2, 3 servers write one: %v, in %v %% of the time",
		n, snapshots, seconds, rate, percent(buckets))
	if strict() && n >= 1_000_000 {
		if buckets[0] == 0 || snapshots == 0 {
			t.Errorf("nothing to compare: %d snapshots, %v", snapshots, buckets)
		} else if during := float64(sum[1]+sum[2]+sum[3]) / float64(buckets[1]+buckets[2]+buckets[3]) / bucket.Seconds(); during < 0.75*float64(rate[0]) {
			t.Errorf("%.0f sets a second while snapshots are written, %d otherwise; promised is a fall by a quarter at most", during, rate[0])
		}
	}
}

func percent(buckets [4]int) (of [4]int) {
	all := buckets[0] + buckets[1] + buckets[2] + buckets[3]
	for k, b := range buckets {
		of[k] = 100 * b / max(all, 1)
	}
	return of
}

// writeOn sets nodes of fill's first folder through 16 connections of 32 requests, and returns how many were acknowledged in each bucket.
func writeOn(t *testing.T, addrs []string, d time.Duration) []int {
	t.Helper()
	counts := make([]atomic.Int64, int(d/bucket))
	data := make([]byte, 100)
	start := time.Now()
	var workers sync.WaitGroup
	for w := range 16 {
		c, err := raw.Dial(addrs[w%len(addrs)], raw.Session{TimeoutMs: faultTimeoutMs})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		workers.Go(func() {
			const depth = 32
			for round := 0; ; round++ {
				err := pipeline(c, depth, func(b []byte, xid int32) []byte {
					return raw.Set(b, xid, fmt.Sprintf("/z/d0/n%010d", 1+(w*depth+int(xid)+round)%folderNodes), data, -1)
				})
				i := int(time.Since(start) / bucket)
				if err != nil || i >= len(counts) {
					if err != nil {
						t.Error(err)
					}
					return
				}
				counts[i].Add(depth)
			}
		})
	}
	workers.Wait()
	out := make([]int, len(counts))
	for i := range counts {
		out[i] = int(counts[i].Load())
	}
	return out
}

type window struct{ from, to time.Time }

var snapshotLine = regexp.MustCompile(`^time=(\S+) .*msg="snapshot written" .*took=(\S+)`)

// snapshotsWritten returns when a server wrote snapshots, as its log has it.
func snapshotsWritten(t *testing.T, s *ensemble.Server) []window {
	t.Helper()
	f, err := os.Open(s.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var windows []window
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m := snapshotLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		to, err := time.Parse(time.RFC3339Nano, m[1])
		if err != nil {
			t.Fatal(err)
		}
		took, err := time.ParseDuration(m[2])
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, window{to.Add(-took), to})
	}
	return windows
}
