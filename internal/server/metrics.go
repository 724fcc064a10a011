package server

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// collector shows monitor's figures to Prometheus, under the names that ZooKeeper's own provider gives them, so that dashboards
// keep working. It makes them when it is asked; nothing is counted twice.
type collector struct {
	s *Server
}

// quantiles of the latency summaries, as ZooKeeper has them.
var quantiles = []float64{0.5, 0.9, 0.99}

// Describe sends nothing: the set of figures depends on the server's role, which makes this an unchecked collector.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.s.monitor() {
		if v, ok := m.value.(summary); ok {
			v.collect(ch, &m)
			continue
		}
		if k, ok := m.value.(keyed); ok {
			k.collect(ch, &m)
			continue
		}
		v, ok := number(m.value)
		if !ok {
			continue
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(m.name, m.help, nil, nil), m.valueType(), v)
	}
	if c.s.observed.on {
		c.s.observed.collect(ch)
	}
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("slow_requests", "Requests that took as long as --slow-request.", nil, nil),
		prometheus.CounterValue, float64(c.s.slow.total.Load()))
	st := &c.s.stats
	var total int64
	for slot, info := range opTable {
		if info.metric == "" {
			continue
		}
		n := st.ops[slot].Load()
		total += n
		desc := prometheus.NewDesc("op_count_"+info.metric, "Requests of this operation.", nil, nil)
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n))
	}
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("op_count_total", "Requests of all operations.", nil, nil), prometheus.CounterValue, float64(total))
}

// histogramBounds are the upper ends of the histograms' buckets, in seconds: four to a decade.
var histogramBounds = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10}

// collect shows how long operations and the stages of writes take.
func (o *observing) collect(ch chan<- prometheus.Metric) {
	ops := prometheus.NewDesc("op_latency_seconds", "Time from a request to its reply, by operation.", []string{"op"}, nil)
	for slot, l := range o.ops {
		if l != nil && l.count.Load() > 0 {
			l.histogram(ch, ops, opTable[slot].metric)
		}
	}
	stages := prometheus.NewDesc("stage_seconds", "Time that a write of this server's clients spends in a stage; together they are its latency.", []string{"stage"}, nil)
	for i := range o.stages {
		o.stages[i].histogram(ch, stages, stageNames[i])
	}
}

// histogram shows a latency. Its own buckets are finer; one counts where its upper end does.
func (l *latency) histogram(ch chan<- prometheus.Metric, desc *prometheus.Desc, label string) {
	cumulative := make(map[float64]uint64, len(histogramBounds))
	var n uint64
	next := 0
	for i := range l.bucks {
		for next < len(histogramBounds) && float64(bucketTop(i))/1e6 > histogramBounds[next] {
			cumulative[histogramBounds[next]] = n
			next++
		}
		n += uint64(l.bucks[i].Load())
	}
	ch <- prometheus.MustNewConstHistogram(desc, n, float64(l.sumNs.Load())/1e9, cumulative, label)
}

// collect shows a value for each key, labelled as ZooKeeper's Prometheus provider does.
func (k keyed) collect(ch chan<- prometheus.Metric, m *sample) {
	desc := prometheus.NewDesc(m.name, m.help, []string{"key"}, nil)
	k.each(func(key string, value int64) {
		ch <- prometheus.MustNewConstMetric(desc, m.valueType(), float64(value), strings.ToValidUTF8(key, "\uFFFD"))
	})
}

func (m *sample) valueType() prometheus.ValueType {
	if m.kind == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// collect shows a summary, with the quantiles that ZooKeeper's Prometheus provider has.
func (v summary) collect(ch chan<- prometheus.Metric, m *sample) {
	q := make(map[float64]float64, len(quantiles))
	if v.quantile != nil {
		for _, p := range quantiles {
			q[p] = v.quantile(p)
		}
	}
	ch <- prometheus.MustNewConstSummary(prometheus.NewDesc(m.name, m.help, nil, nil), uint64(v.count), v.sum, q)
}

// number is a sample's value as Prometheus wants it.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// metricsHandler is /metrics: the server's figures, the process's and the runtime's.
func (s *Server) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{s})
	if !s.cfg.NoRuntimeStats {
		r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}
