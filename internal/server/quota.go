package server

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"gopherwood/internal/tree"
)

// What a server says about quotas, which package tree keeps: lines in the log, and figures per namespace, the first element of a path
// (QuotaMetricsUtils). A limit that was exceeded is told of by the server whose client did it.

// quotaRefusals counts writes refused for a quota, by namespace.
type quotaRefusals struct {
	mu    sync.Mutex
	count map[string]int64 // at most maxNamespaces; further ones are counted under otherNamespaces
}

// otherNamespaces stands for all beyond maxNamespaces. No path has it.
const otherNamespaces = "/"

func (q *quotaRefusals) add(namespace string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == nil {
		q.count = make(map[string]int64)
	}
	if _, known := q.count[namespace]; !known {
		if len(q.count) >= maxNamespaces {
			namespace = otherNamespaces
		}
		namespace = strings.Clone(namespace)
	}
	q.count[namespace]++
}

func (q *quotaRefusals) counts() map[string]int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.count)
}

// tellQuotas logs and counts the limits that a command of this server's clients exceeded. The loop calls it.
func (s *Server) tellQuotas(over []tree.QuotaExcess) {
	for i := range over {
		e := &over[i]
		path := printable(e.Path)
		switch {
		case e.Unit == tree.QuotaMalformed:
			s.noisy.warn("the limits of a quota cannot be read, so there are none; set them again with setquota", "path", path)
			continue
		case e.Refused:
			s.quotaRefused.add(namespaceOf(e.Path))
			s.noisy.warn("refused a write that would exceed a quota", "path", path, "unit", e.Unit, "now", e.Now, "limit", e.Limit)
		case e.Hard:
			s.noisy.warn("a hard quota is exceeded; it is not enforced (enforceQuota)", "path", path, "unit", e.Unit, "now", e.Now, "limit", e.Limit)
		default:
			s.noisy.warn("a soft quota is exceeded", "path", path, "unit", e.Unit, "now", e.Now, "limit", e.Limit)
		}
	}
}

// namespaceOf is the first element of a path (PathUtils.getTopNamespace).
func namespaceOf(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}

// keyed is a sample's value for each of several keys: mntr puts the key in front of the name, Prometheus gets it as a label.
type keyed map[string]int64

func (k keyed) each(yield func(key string, value int64)) {
	for _, key := range slices.Sorted(maps.Keys(k)) {
		yield(key, k[key])
	}
}

// quotaSamples are the quotas' figures by namespace: nested quotas are added up, as in ZooKeeper, and a limit is the hard one if there is one.
func (s *Server) quotaSamples() []sample {
	counts, bytes, countLimits, byteLimits := keyed{}, keyed{}, keyed{}, keyed{}
	s.treeMu.RLock()
	s.tree.Quotas(func(q tree.Quota) bool {
		name := namespaceOf(q.Path)
		if _, known := counts[name]; !known && len(counts) >= maxNamespaces {
			name = otherNamespaces
		}
		counts[name] += q.Count
		bytes[name] += q.Bytes
		countLimits[name] += limitOf(q.CountLimit, q.CountHardLimit)
		byteLimits[name] += limitOf(q.BytesLimit, q.BytesHardLimit)
		return true
	})
	s.treeMu.RUnlock()
	return []sample{
		{"quota_count_limit_per_namespace", countLimits, gauge, "Znodes that the quotas of a namespace allow, -1 each that allows any number."},
		{"quota_bytes_limit_per_namespace", byteLimits, gauge, "Bytes that the quotas of a namespace allow, -1 each that allows any number."},
		{"quota_count_usage_per_namespace", counts, gauge, "Znodes that the quotas of a namespace have counted."},
		{"quota_bytes_usage_per_namespace", bytes, gauge, "Bytes that the quotas of a namespace have counted."},
		{"quota_exceeded_error_per_namespace", keyed(s.quotaRefused.counts()), counter, "Writes of this server's clients refused for a quota."},
	}
}

func limitOf(soft, hard int64) int64 {
	if hard > -1 {
		return hard
	}
	return soft
}
