package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gopherwood/internal/wire"
	"gopherwood/zk"
)

// TestSketchBounds: no count is too low, none is too high by more than its error says, and whoever has more than 1/size of the weight is kept.
func TestSketchBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		keys := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 400).Draw(t, "keys")
		s, true_, total := newSketch(size), map[string]float64{}, 0.0
		for _, k := range keys {
			key, weight := fmt.Sprint(k*k%19), float64(1+k%3)
			s.add([]byte(key), weight, 10, 0)
			true_[key] += weight
			total += weight
		}
		if len(s.talkers) > size || len(s.index) != len(s.talkers) {
			t.Fatalf("%d talkers, %d keys, size %d", len(s.talkers), len(s.index), size)
		}
		sum := 0.0
		for _, k := range s.talkers {
			sum += k.count
			if k.count < true_[k.key] || k.count-k.error > true_[k.key] {
				t.Fatalf("%s: counted %v with error %v, was %v", k.key, k.count, k.error, true_[k.key])
			}
		}
		if sum != total {
			t.Fatalf("the counts add up to %v, not %v", sum, total)
		}
		for key, n := range true_ {
			if _, kept := s.index[key]; !kept && n > total/float64(size) {
				t.Fatalf("%s has %v of %v and is not kept by a sketch of %d", key, n, total, size)
			}
		}
		most := s.heaviest(3)
		if !slices.IsSortedFunc(most, func(a, b talker) int { return cmp.Compare(b.count-b.error, a.count-a.error) }) {
			t.Fatalf("not in order: %v", most)
		}
	})
}

func TestSketchFades(t *testing.T) {
	s := newSketch(2)
	s.add([]byte("a"), 100, 1, 50)
	s.fade(fadeFactor(60, 60))
	if got := s.talkers[0]; got.count != 50 || got.writes != 25 || got.bytes != 50 {
		t.Errorf("%+v", got)
	}
	// a steady rate of 10 a second for 1000 seconds
	count := 0.0
	for range 1000 {
		count = count*fadeFactor(1, 60) + 10
	}
	if rate := count / fadedSeconds(1000, 60); math.Abs(rate-10) > 0.1 {
		t.Errorf("rate %v", rate)
	}
}

// TestTopTalkers: who asks most for what is found among many others, also when only a sample is looked at.
func TestTopTalkers(t *testing.T) {
	for _, every := range []int64{1, 50} {
		top := newTop(2, 0)
		top.every.Store(every)
		noisy, random, passed, until := netip.MustParseAddr("10.0.0.9"), uint64(88172645463325252), 0, 0
		for i := range 200_000 {
			client, path, op := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), fmt.Sprintf("/app%d/x/y", i%3000), zk.OpGetData
			if i%3 == 0 { // in step with nothing
				client, path, op = noisy, fmt.Sprintf("/hot/queue/item%d", i), zk.OpCreate
			}
			if until--; until >= 0 {
				continue
			}
			random ^= random << 13
			random ^= random >> 7
			random ^= random << 17
			weight := float64(passed + 1)
			passed = top.pick(random)
			until = passed
			top.look(client, op, (&wire.CreateRequest{Path: path}).Append(nil), 0, weight)
		}
		for _, tc := range []struct {
			s    *sketch
			want string
		}{{top.clients, "10.0.0.9"}, {top.prefixes, "/hot"}, {top.ops, "get_data"}, {top.all, "10.0.0.9 create /hot"}} {
			got := tc.s.heaviest(1)[0]
			share := (got.count - got.error) / top.total
			if got.key != tc.want || share < 0.27 || share > 0.7 {
				t.Errorf("one of %d: %s has %.2f, want %s", every, got.key, share, tc.want)
			}
		}
		if math.Abs(top.total-200_000) > 20_000 {
			t.Errorf("one of %d: total %v", every, top.total)
		}
	}
}

func TestTopPace(t *testing.T) {
	top := newTop(2, 0)
	for _, tc := range []struct {
		requests int64
		every    int64
	}{{10, 1}, {10 + topRate/2, 1}, {10 + topRate/2 + 40*topRate, 40}, {1 << 50, topEvery}} {
		top.pace(tc.requests, 1)
		if got := top.every.Load(); got != tc.every {
			t.Errorf("%d requests: one of %d", tc.requests, got)
		}
	}
}

// TestAdminTop: the command shows it, by prefixes of each depth.
func TestAdminTop(t *testing.T) {
	e := newEnsemble(t, 1, nil)
	c := e.client(0)
	c.create("/a", "", 0)
	c.create("/a/b", "", 0)
	for range 20 {
		c.must(zk.OpGetData, &wire.GetDataRequest{Path: "/a/b"})
	}
	e.quiet()
	var got struct {
		Prefixes []struct {
			Path string
			Rate float64 `json:"requests_per_second"`
		} `json:"path_prefixes"`
		Operations []struct{ Operation string }
		Error      *string
	}
	if err := json.Unmarshal(e.ask(0, "GET", "/commands/top", "", nil).Body.Bytes(), &got); err != nil || got.Error != nil {
		t.Fatal(err, got.Error)
	}
	if len(got.Prefixes) != 2 || got.Prefixes[0].Path != "/a" || got.Prefixes[1].Path != "/a/b" || got.Operations[0].Operation != "get_data" {
		t.Errorf("%+v", got)
	}
	for _, q := range []string{"0", "129", "x", ""} {
		if w := e.ask(0, "GET", "/commands/top?n="+q, "", nil); w.Code != 400 || !strings.Contains(w.Body.String(), "n must be a number from 1 to 128") {
			t.Errorf("n=%s: %d %s", q, w.Code, w.Body)
		}
	}
	off := newEnsemble(t, 1, func(c *Config) { c.Unobserved = true })
	off.client(0).create("/a", "", 0)
	if w := off.ask(0, "GET", "/commands/top", "", nil); !strings.Contains(w.Body.String(), "switched off") {
		t.Errorf("%s", w.Body)
	}
}

func FuzzRequestPath(f *testing.F) {
	f.Add(int32(zk.OpGetData), (&wire.GetDataRequest{Path: "/a"}).Append(nil))
	f.Add(int32(zk.OpMulti), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, '/', 'a'})
	f.Add(int32(zk.OpCreate), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, op int32, body []byte) {
		path, ok := requestPath(zk.OpCode(op), body)
		if ok && len(path) > len(body)-4 {
			t.Errorf("%d bytes of path in %d", len(path), len(body))
		}
		top := newTop(3, 0)
		top.look(netip.Addr{}, zk.OpCode(op), body, 0, 1)
		for _, k := range top.prefixes.talkers {
			if len(k.key) > topPrefixBytes || strings.Count(k.key[min(1, len(k.key)):], "/") > 2 {
				t.Errorf("prefix %q", k.key)
			}
		}
	})
}

func BenchmarkTopLook(b *testing.B) {
	top, body := newTop(2, 0), make([][]byte, 1024)
	for i := range body {
		body[i] = (&wire.GetDataRequest{Path: fmt.Sprintf("/bench/k%09d", i)}).Append(nil)
	}
	client := netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for i := range b.N {
		top.look(client, zk.OpGetData, body[i%len(body)], 0, 1)
	}
}
