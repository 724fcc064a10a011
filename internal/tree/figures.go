package tree

import (
	"bytes"
	"strconv"
)

// QuotaUnit is what a limit counts.
type QuotaUnit uint8

// The units of limits.
const (
	QuotaCount     QuotaUnit = iota // znodes
	QuotaBytes                      // bytes of data
	QuotaMalformed                  // no unit: the limits cannot be read, so there are none
)

// String is the unit as a log line has it.
func (u QuotaUnit) String() string { return [...]string{"count", "bytes", "malformed"}[u] }

// QuotaExcess is a limit that a write went beyond, or was refused for.
type QuotaExcess struct {
	Path       string // the node that has the quota
	Unit       QuotaUnit
	Now, Limit int64 // the figure with the write, and the limit; 0 of QuotaMalformed
	Hard       bool  // the limit is a hard one
	Refused    bool  // the write got QUOTAEXCEEDED: the limit is hard and the command asked for it
}

// Quota is a quota as its two nodes have it. A figure of -1 is not set, or cannot be read.
type Quota struct {
	Path                           string
	Count, Bytes                   int64 // used
	CountLimit, BytesLimit         int64 // soft
	CountHardLimit, BytesHardLimit int64
}

// Quotas gives yield every quota, in the order in which the nodes are linked, until it returns false. Paths last longer than the call. It is
// a step for each node below /zookeeper/quota.
func (t *Tree) Quotas(yield func(Quota) bool) {
	top := t.find(quotaPath)
	if top == 0 || t.quotas.count == 0 {
		return
	}
	for id := t.after(top, top); id != 0; id = t.after(id, top) {
		r := t.nodes.at(id)
		if string(t.name(r)) != limitsName {
			continue
		}
		on := quotaOn(string(t.appendPath(nil, r.parent)), limitsName)
		if on == "" {
			continue
		}
		q := Quota{Path: on, Count: -1, Bytes: -1}
		limit := orNone(parseFigures(t.data(r)))
		q.CountLimit, q.BytesLimit, q.CountHardLimit, q.BytesHardLimit = limit.count, limit.bytes, limit.countHard, limit.bytesHard
		if at, d := t.quotas.covering(on); at == on && d.stats != 0 {
			used := orNone(parseFigures(t.data(t.nodes.at(d.stats))))
			q.Count, q.Bytes = used.count, used.bytes
		}
		if !yield(q) {
			return
		}
	}
}

// figures is what the data of a quota's node say (StatsTrack). -1 is not said.
type figures struct {
	count, bytes, countHard, bytesHard int64
}

func orNone(f figures, ok bool) figures {
	if !ok {
		return figures{-1, -1, -1, -1}
	}
	return f
}

// parseFigures reads "key=number" separated by commas or semicolons. Keys that it does not know may have any number. Behind a number may be another "="
// and what it likes: releases before 3.7 wrote "count=1,bytes=2=;..." to be read by still older ones. ok is false where Java's
// StatsTrack would throw.
func parseFigures(data []byte) (f figures, ok bool) {
	f = figures{-1, -1, -1, -1}
	if len(bytes.Trim(data, ",;")) == 0 {
		return f, true
	}
	for len(data) > 0 {
		pair := data
		if i := bytes.IndexAny(data, ",;"); i >= 0 {
			pair, data = data[:i], bytes.TrimLeft(data[i:], ",;")
		} else {
			data = nil
		}
		key, rest, _ := bytes.Cut(pair, []byte{'='})
		if len(bytes.TrimRight(rest, "=")) == 0 {
			return f, false
		}
		number, _, _ := bytes.Cut(rest, []byte{'='})
		n := int64(-1)
		if len(number) > 0 {
			var err error
			if n, err = strconv.ParseInt(alias(number), 10, 64); err != nil {
				return f, false
			}
		}
		switch alias(key) {
		case "count":
			f.count = n
		case "bytes":
			f.bytes = n
		case "countHardLimit":
			f.countHard = n
		case "byteHardLimit":
			f.bytesHard = n
		}
	}
	return f, true
}

// appendFigures is what a stats node holds (StatsTrack.toString).
func appendFigures(b []byte, count, bytes int64) []byte {
	b = strconv.AppendInt(append(b, "count="...), count, 10)
	return strconv.AppendInt(append(b, ",bytes="...), bytes, 10)
}

// exceeded says whether now+growth is beyond the limit of a unit, where something is to change at all.
func (f *figures) exceeded(u QuotaUnit, now, growth int64) (e QuotaExcess, beyond bool) {
	soft, hard := f.count, f.countHard
	if u == QuotaBytes {
		soft, hard = f.bytes, f.bytesHard
	}
	e = QuotaExcess{Unit: u, Now: now + growth, Limit: soft}
	if e.Hard = hard >= 0; e.Hard {
		e.Limit = hard
	}
	return e, growth != 0 && e.Limit >= 0 && e.Now > e.Limit
}
