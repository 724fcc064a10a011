package server

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"gopherwood/zk"
)

// topTalkers answers who asks for what: by client, by path prefix, by operation, and by the three together. It looks at a sample of the requests: all of them as
// long as there are few, and beyond topRate a second so many that no more than that are looked at, each of which then counts for those that were not. Its memory is
// fixed: topKept keys in each of four sketches. A request counts for each prefix of its path, up to a depth.
type topTalkers struct {
	depth int // a request counts for each prefix of its path that has so many elements or fewer

	every atomic.Int64 // one request of so many is looked at; 1: each

	mu sync.Mutex
	// guarded by mu
	beganNs  int64
	fadedNs  int64 // when the counts were faded last
	clients  *sketch
	prefixes *sketch
	ops      *sketch
	all      *sketch
	total    float64
	key, op  []byte // scratch
	seen     int64  // Server's count of requests at the last pace
	looked   int    // requests looked at since then, or since every last grew
}

func newTop(depth int, nowNs int64) *topTalkers {
	t := &topTalkers{depth: depth, beganNs: nowNs, fadedNs: nowNs,
		clients: newSketch(topKept), prefixes: newSketch(topKept), ops: newSketch(topKept), all: newSketch(topKept)}
	t.every.Store(1)
	return t
}

// pick is how many requests of a connection are passed over until the next one is looked at, and so what that one weighs less one. It is random, so that no
// pattern of requests hides, and on average what every says.
func (t *topTalkers) pick(random uint64) int {
	every := uint64(t.every.Load())
	if every <= 1 {
		return 0
	}
	return int(random % (2*every - 1))
}

// pace sets how much is looked at by how much comes: requests is the server's count of them, and the last call was seconds ago.
func (t *topTalkers) pace(requests int64, seconds float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rate := float64(requests-t.seen) / seconds
	t.seen, t.looked = requests, 0
	t.every.Store(max(1, min(topEvery, int64(rate/topRate))))
}

// look counts a request that stands for weight of them.
func (t *topTalkers) look(client netip.Addr, op zk.OpCode, body []byte, nowNs int64, weight float64) {
	info := &opTable[slotOf(op)]
	path, _ := requestPath(op, body)
	path = path[:min(len(path), topPrefixBytes)]
	writes := 0.0
	if info.class == classWrite {
		writes = weight
	}
	bytes, level := float64(len(body)), 0
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fadeLocked(nowNs)
	if t.looked++; t.looked > topRate { // more comes than when the pace was set
		t.looked = 0
		t.every.Store(min(2*t.every.Load(), topEvery))
	}
	t.total += weight
	t.op = append(t.op[:0], info.metric...)
	t.key = client.AppendTo(t.key[:0])
	t.clients.add(t.key, weight, bytes, writes)
	t.ops.add(t.op, weight, bytes, writes)
	t.key = append(append(append(t.key, ' '), t.op...), ' ')
	who := len(t.key)
	if len(path) == 0 {
		t.all.add(t.key, weight, bytes, writes)
	}
	for end := 0; end < len(path); {
		end = nextElement(path, end)
		t.prefixes.add(path[:end], weight, bytes, writes)
		t.key = append(t.key[:who], path[:end]...)
		t.all.add(t.key, weight, bytes, writes)
		if level++; level == t.depth {
			break
		}
	}
}

// nextElement is where the element of a path ends that begins at the slash at i.
func nextElement(path []byte, i int) int {
	for i++; i < len(path) && path[i] != '/'; i++ {
	}
	return i
}

// fadeLocked lets the counts fade, in steps that cost little.
func (t *topTalkers) fadeLocked(nowNs int64) {
	gone := float64(nowNs-t.fadedNs) / 1e9
	if gone < topFadeSeconds {
		return
	}
	f := fadeFactor(gone, topHalfLife)
	for _, s := range []*sketch{t.clients, t.prefixes, t.ops, t.all} {
		s.fade(f)
	}
	t.total *= f
	t.fadedNs = nowNs
}

// requestPath is the path that a request's record starts with; that of a multi is its first member's.
func requestPath(op zk.OpCode, body []byte) (path []byte, ok bool) {
	switch op {
	case zk.OpPing, zk.OpAuth, zk.OpSASL, zk.OpSetWatches, zk.OpSetWatches2, zk.OpWhoAmI, zk.OpCloseSession:
		return nil, false
	case zk.OpMulti, zk.OpMultiRead:
		const multiHeader = 9 // type, done, err
		if len(body) < multiHeader {
			return nil, false
		}
		body = body[multiHeader:]
	}
	if len(body) < 4 {
		return nil, false
	}
	n := binary.BigEndian.Uint32(body)
	if uint64(n) > uint64(len(body)-4) {
		return nil, false
	}
	return body[4 : 4+n], true
}

// adminTop is the command top: requests per second, faded over about a minute and a half.
func (s *Server) adminTop(c *adminCall) {
	t := s.top
	if t == nil {
		c.fail(0, "top talkers are switched off (--observe=false)")
		return
	}
	n := topShown
	if q := c.request.URL.Query(); q.Has("n") {
		v, err := strconv.Atoi(q.Get("n"))
		if err != nil || v < 1 || v > topKept {
			c.fail(http.StatusBadRequest, "n must be a number from 1 to "+strconv.Itoa(topKept)+", got "+short(q.Get("n")))
			return
		}
		n = v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := s.now()
	t.fadeLocked(now)
	seconds := max(1, fadedSeconds(float64(now-t.beganNs)/1e9, topHalfLife))
	c.put("half_life_seconds", topHalfLife)
	c.put("looked_at_one_of", t.every.Load())
	c.put("requests_per_second", rounded(t.total/seconds))
	for _, list := range []struct {
		name, key string
		s         *sketch
	}{{"clients", "client", t.clients}, {"path_prefixes", "path", t.prefixes}, {"operations", "operation", t.ops}, {"combinations", "", t.all}} {
		shown := []*object{}
		for _, k := range list.s.heaviest(n) {
			if rounded((k.count-k.error)/seconds) == 0 {
				break
			}
			o := &object{}
			if list.key != "" {
				o.put(list.key, k.key)
			} else {
				client, rest, _ := strings.Cut(k.key, " ")
				op, path, _ := strings.Cut(rest, " ")
				o.put("client", client)
				o.put("operation", op)
				o.put("path", path)
			}
			o.put("requests_per_second", rounded(k.count/seconds))
			o.put("at_least", rounded((k.count-k.error)/seconds))
			o.put("writes_per_second", rounded(k.writes/seconds))
			o.put("bytes_per_second", rounded(k.bytes/seconds))
			o.put("share", rounded(k.count/max(t.total, 1e-9)))
			shown = append(shown, o)
		}
		c.put(list.name, shown)
	}
}

// rounded keeps three digits behind the point.
func rounded(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }
