package server

import "strings"

// summary is how a sample's value is spread. Its count is 0 if there was none.
type summary struct {
	count          int64
	sum, low, high float64
	quantile       func(q float64) float64 // nil for one that ZooKeeper shows without quantiles (DetailLevel.BASIC)
}

// mntrQuantiles are those that ZooKeeper's default provider shows of a summary, and how it calls them.
var mntrQuantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}}

// each yields a sample as mntr shows it: a summary as several figures (AvgMinMaxCounter, AvgMinMaxPercentileCounter).
func (m *sample) each(yield func(name string, value any)) {
	if k, ok := m.value.(keyed); ok {
		k.each(func(key string, value int64) { yield(key+"_"+m.name, value) })
		return
	}
	v, ok := m.value.(summary)
	if !ok {
		yield(m.name, m.value)
		return
	}
	avg := 0.0
	if v.count > 0 {
		avg = v.sum / float64(v.count)
	}
	yield("avg_"+m.name, avg)
	yield("min_"+m.name, int64(v.low))
	yield("max_"+m.name, int64(v.high))
	yield("cnt_"+m.name, v.count)
	yield("sum_"+m.name, int64(v.sum))
	if v.quantile == nil {
		return
	}
	for _, q := range mntrQuantiles {
		yield(q.name+"_"+m.name, int64(v.quantile(q.q)))
	}
}

// summarized is a latency, in ms.
func (l *latency) summarized() summary {
	low, _, high := l.timesMs()
	return summary{count: l.count.Load(), sum: float64(l.sumNs.Load()) / 1e6, low: low, high: high, quantile: l.quantileMs}
}

// timesMs are the extremes and the mean.
func (l *latency) timesMs() (low, avg, high float64) {
	n := l.count.Load()
	if n == 0 {
		return 0, 0, 0
	}
	return float64(max(0, l.minNs.Load()-1)) / 1e6, float64(l.sumNs.Load()) / float64(n) / 1e6, float64(l.maxNs.Load()) / 1e6
}

// neverCounters, neverSummaries and neverAdvanced are figures of ZooKeeper that are always 0 here, since there is nothing that could count: dashboards that ask
// for them go on working.
const (
	neverCounters = `
		add_dead_watcher_stall_time dead_watchers_cleared dead_watchers_queued
		response_packet_cache_hits response_packet_cache_misses response_packet_get_children_cache_hits response_packet_get_children_cache_misses
		prep_processor_request_queued sync_processor_request_queued request_commit_queued
		outstanding_changes_queued outstanding_changes_removed
		requests_not_forwarded_to_commit_processor skip_learner_request_to_next_processor_count
		quit_leading_due_to_disloyal_voter revalidate_count connection_revalidate_count
		cnxn_closed_without_zk_server_running insecure_admin_count stale_replies
		unrecoverable_error_count digest_mismatches_count
		stale_requests stale_requests_dropped`
	neverSummaries = `
		commit_commit_proc_req_queued commit_process_time concurrent_request_processing_in_commit_processor
		learner_request_processor_queue_size netty_queued_buffer_capacity pending_session_queue_size prep_process_time prep_processor_queue_size
		proposal_process_time read_commit_proc_issued read_commit_proc_req_queued reads_after_write_in_session_queue
		reads_issued_from_session_queue requests_in_session_queue session_queues_drained sync_process_time
		sync_processor_batch_size sync_processor_queue_size time_waiting_empty_pool_in_commit_processor_read_ms
		write_batch_time_in_commit_processor write_commit_proc_issued write_commit_proc_req_queued`
	neverAdvanced = `
		close_session_prep_time dead_watchers_cleaner_latency jvm_pause_time_ms om_commit_process_time_ms om_proposal_process_time_ms
		prep_processor_queue_time_ms read_commitproc_time_ms read_final_proc_time_ms
		sync_processor_queue_and_flush_time_ms sync_processor_queue_flush_time_ms sync_processor_queue_time_ms write_commitproc_time_ms
		write_final_proc_time_ms`
	neverHelp = "Always 0: there is no such thing here."
)

// unowned are figures that other parts of the server will count: until they do, nothing of theirs happens.
const (
	unownedCounters = `tls_handshake_exceeded unsuccessful_handshake`
	unownedGauges   = `non_mtls_local_conn_count non_mtls_remote_conn_count outstanding_tls_handshake`
)

// withNever adds the figures that are always 0, but for those that all has already.
func withNever(all []sample) []sample {
	known := make(map[string]bool, len(all))
	for _, m := range all {
		known[m.name] = true
	}
	none := func(float64) float64 { return 0 }
	for _, g := range []struct {
		names string
		value any
		kind  sampleKind
	}{
		{neverCounters, int64(0), counter}, {neverSummaries, summary{}, gauge}, {neverAdvanced, summary{quantile: none}, gauge},
		{unownedCounters, int64(0), counter}, {unownedGauges, int64(0), gauge},
	} {
		for name := range strings.FieldsSeq(g.names) {
			if !known[name] {
				all = append(all, sample{name, g.value, g.kind, neverHelp})
			}
		}
	}
	return all
}
