package tree_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gopherwood/internal/tree"
	"gopherwood/zk"
)

// Quotas as the model has them: looked for among all nodes each time, with StatsTrack as Java has it.

const quotaTop = "/zookeeper/quota"

// statsTrack is StatsTrack(String): a map, or an exception.
func statsTrack(data []byte) (m map[string]int64, ok bool) {
	m = map[string]int64{}
	pairs := strings.FieldsFunc(string(data), func(r rune) bool { return r == ',' || r == ';' })
	if len(pairs) > 0 && strings.ContainsAny(string(data[:1]), ",;") { // Java's split has an empty first one
		return nil, false
	}
	for _, p := range pairs {
		kv := strings.Split(strings.TrimRight(p, "="), "=")
		if len(kv) < 2 {
			return nil, false
		}
		if kv[1] == "" {
			kv[1] = "-1"
		}
		n, err := strconv.ParseInt(kv[1], 10, 64)
		if err != nil {
			return nil, false
		}
		m[kv[0]] = n
	}
	return m, true
}

func figure(m map[string]int64, key string) int64 {
	if v, ok := m[key]; ok {
		return v
	}
	return -1
}

// quotaOf is the deepest path with a limits node that path is at or below.
func (m *model) quotaOf(path string) string {
	for p := path; p != "" && p != "/"; p = parentOf(p) {
		if p == "/zookeeper" || strings.HasPrefix(p, "/zookeeper/") {
			return ""
		}
		if m.nodes[quotaTop+p+"/zookeeper_limits"] != nil {
			return p
		}
	}
	return ""
}

// truth is what is there from p downwards.
func (m *model) truth(p string) []byte {
	count, size := 0, 0
	for q, n := range m.nodes {
		if q == p || strings.HasPrefix(q, p+"/") {
			count++
			size += len(n.data)
		}
	}
	return fmt.Appendf(nil, "count=%d,bytes=%d", count, size)
}

// quotaMade gives a new stats node its data.
func (m *model) quotaMade(path string) {
	p, name := strings.TrimSuffix(path, "/zookeeper_stats"), strings.HasSuffix(path, "/zookeeper_stats")
	p, ok := strings.CutPrefix(p, quotaTop+"/")
	if name && ok && p != "zookeeper" && !strings.HasPrefix(p, "zookeeper/") {
		m.nodes[path].data = m.truth("/" + p)
	}
}

func (m *model) charge(path string, count, bytes int) {
	p := m.quotaOf(path)
	n := m.nodes[quotaTop+p+"/zookeeper_stats"]
	if p == "" || n == nil || count == 0 && bytes == 0 {
		return
	}
	f, ok := statsTrack(n.data)
	if c, b := figure(f, "count"), figure(f, "bytes"); !ok || c < 0 || b < 0 {
		n.data = m.truth(p)
	} else {
		n.data = fmt.Appendf(nil, "count=%d,bytes=%d", c+int64(count), b+int64(bytes))
	}
}

func (m *model) overQuota(c *tree.Command, path string, count, bytes int, o *outcome) bool {
	p := m.quotaOf(path)
	stats := m.nodes[quotaTop+p+"/zookeeper_stats"]
	if p == "" || stats == nil {
		return false
	}
	note := func(e tree.QuotaExcess) bool {
		if len(o.Quotas) < 8 {
			o.Quotas = append(o.Quotas, e)
		}
		return e.Refused
	}
	limit, ok := statsTrack(m.nodes[quotaTop+p+"/zookeeper_limits"].data)
	if !ok {
		return note(tree.QuotaExcess{Path: p, Unit: tree.QuotaMalformed})
	}
	used, ok := statsTrack(stats.data)
	if !ok {
		return false
	}
	for _, u := range []struct {
		unit       tree.QuotaUnit
		growth     int
		soft, hard string
	}{{tree.QuotaCount, count, "count", "countHardLimit"}, {tree.QuotaBytes, bytes, "bytes", "byteHardLimit"}} {
		e := tree.QuotaExcess{Path: p, Unit: u.unit, Now: figure(used, u.soft) + int64(u.growth), Limit: figure(limit, u.soft)}
		if h := figure(limit, u.hard); h >= 0 {
			e.Limit, e.Hard, e.Refused = h, true, c.EnforceQuota
		}
		if u.growth != 0 && e.Limit >= 0 && e.Now > e.Limit && note(e) {
			return true
		}
	}
	return false
}

// quotaSetup is the commands of a shell that sets quotas.
func quotaSetup(session int64, limits map[string]string) (all []*tree.Command) {
	create := func(path, data string) {
		all = append(all, &tree.Command{Kind: tree.KindWrite, Session: session, Ops: []tree.Op{{Code: zk.OpCreate, Path: path, Data: []byte(data), ACL: zk.OpenACL()}}})
	}
	for _, on := range []string{"/a", "/a/b", "/b", "/zookeeper"} { // parents first
		text, ok := limits[on]
		if !ok {
			continue
		}
		create(quotaTop+on, "")
		create(quotaTop+on+"/zookeeper_limits", text)
		create(quotaTop+on+"/zookeeper_stats", "count=0,bytes=0")
	}
	return all
}

var (
	genQuotaOn   = rapid.SampledFrom([]string{"/a", "/a/b", "/b", "/zookeeper"})
	genCovered   = rapid.SampledFrom([]string{"/a", "/a", "/a/a", "/a/b", "/a/b/c", "/b", "/b/a", "/c"})
	genQuotaPath = rapid.SampledFrom([]string{
		"/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats", "/zookeeper/quota/a/b/zookeeper_limits", "/zookeeper/quota/a/b/zookeeper_stats",
		"/zookeeper/quota/zookeeper_limits", "/zookeeper/quota/a", "/zookeeper/quota/a/b", "/zookeeper/quota/zookeeper/zookeeper_stats",
		"/zookeeper/quota/b/zookeeper_limits", "/zookeeper/quota/b/zookeeper_stats", "/zookeeper/quota/b/zookeeper_limits/zookeeper_stats",
	})
	genLimits = rapid.SampledFrom([]string{
		"count=3,bytes=-1", "count=-1,bytes=20", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4", "count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=-1",
		"count=2,bytes=5=;byteHardLimit=400;countHardLimit=3", "count=0,bytes=0", "byteHardLimit=0;countHardLimit=0", "count=1;;other=7", "count==5;bytes==",
		"", "count", "count=", "count=x,bytes=1", ",count=1", "count=-7,bytes=99999999999999999999", "count=+4,bytes=1=x=y", "bytes=9", ";",
	})
	genQuotaOp = rapid.Custom(func(t *rapid.T) tree.Op {
		o := tree.Op{Path: genCovered.Draw(t, "path"), Version: -1}
		o.Data = rapid.SampledFrom([][]byte{nil, {}, []byte("x"), []byte("some data"), []byte("and some longer data")}).Draw(t, "data")
		if rapid.IntRange(0, 3).Draw(t, "quota") == 0 {
			o.Path, o.Data = genQuotaPath.Draw(t, "path"), []byte(genLimits.Draw(t, "limits"))
		}
		switch n := rapid.IntRange(0, 9).Draw(t, "op"); {
		case n < 5:
			o.Code, o.ACL, o.Version = zk.OpCreate2, zk.OpenACL(), 0
			o.Mode = rapid.SampledFrom([]zk.CreateMode{0, 0, 1}).Draw(t, "mode")
		case n < 7:
			o.Code, o.Data = zk.OpDelete, nil
		default:
			o.Code = zk.OpSetData
			o.Version = rapid.SampledFrom([]int32{-1, -1, 0, 1}).Draw(t, "version")
		}
		return o
	})
	genQuotaCommand = rapid.Custom(func(t *rapid.T) *tree.Command {
		c := &tree.Command{Kind: tree.KindWrite, Session: rapid.Int64Range(1, 2).Draw(t, "session"), EnforceQuota: rapid.Bool().Draw(t, "enforce")}
		switch n := rapid.IntRange(0, 19).Draw(t, "kind"); {
		case n == 0:
			return &tree.Command{Kind: tree.KindCloseSession, Session: c.Session}
		case n == 1:
			return &tree.Command{Kind: tree.KindCreateSession, Session: c.Session, Timeout: 4000, Passwd: [16]byte{byte(c.Session)}}
		case n < 9:
			c.Kind, c.Ops = tree.KindMulti, rapid.SliceOfN(genQuotaOp, 1, 5).Draw(t, "ops")
		default:
			c.Ops = []tree.Op{genQuotaOp.Draw(t, "op")}
		}
		return c
	})
)

// TestQuotasAreTheModels is TestTreeIsTheModel with little else than quotas, what they cover and what is wrong with them.
func TestQuotasAreTheModels(t *testing.T) { checkAgainstModel(t, genQuotaCommand) }

// FuzzFigures compares the parser of limits with StatsTrack as Java has it.
func FuzzFigures(f *testing.F) {
	for _, s := range []string{"count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=7", "count", ",count=1", ";", "", "count==5;;bytes=1=2=", "count=+1,bytes=9223372036854775808", "=5", "count=1;count=2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := tree.ParseFigures(data)
		m, want := statsTrack(data)
		if ok != want {
			t.Fatalf("%q: %v, %v", data, got, ok)
		}
		if limits := [4]int64{figure(m, "count"), figure(m, "bytes"), figure(m, "countHardLimit"), figure(m, "byteHardLimit")}; ok && got != limits {
			t.Fatalf("%q: %v, not %v", data, got, limits)
		}
	})
}
