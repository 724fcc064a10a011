package zoocfg

import "strings"

// Ready-made reasons for keys of one family.
const (
	whyClientSide  = "it is a setting of clients, not of servers"
	whyDisk        = "the log is written in segments of its own size, past the page cache and synced in batches, and cleans up after itself"
	whyElection    = "members elect by Raft over one connection, and have no election port, notification or epoch"
	whyFlush       = "what is in the log's queue is written and synced together; there is nothing to wait for"
	whyGuideName   = "ZooKeeper does not read it under this name either; the key is "
	whyJVM         = "there is no Java virtual machine here"
	whyLearner     = "members get the log and snapshots over Raft's own connections, each with its bounds"
	whyNIO         = "one goroutine serves each connection, and the runtime decides on threads"
	whyNetty       = "there is no Netty here"
	whyPathStats   = "requests by path are counted in a sketch of fixed size that decays (docs/operations.md)"
	whyPipeline    = "there is no chain of request processors here: reads don't queue, and writes are batched as they come"
	whyPurge       = "snapshots and log segments that are not needed any more are removed as soon as that is so"
	whyReplyCache  = "replies are encoded from the tree faster than a cache would find them"
	whySnapshotDo  = "snapshots are written by the bytes of log since the last one, compressed with zstd and checked by the state's digest"
	whyStale       = "what a connection has waiting is always dropped with it"
	whyTesting     = "it is for ZooKeeper's own tests"
	whyWatchTables = "watches are in one indexed table that needs no cleaning"
)

// meaningless are ZooKeeper's keys that mean nothing here, and why, as the end of the sentence "KEY has no meaning here: …". A key
// that gets a meaning moves to keys. One line per key, sorted.
var meaningless = map[string]string{
	"admin.httpVersion":                          "the admin port is plain HTTP/1.1",
	"audit.impl.class":                           "the server writes its audit log itself, in the form of Slf4jAuditLogger",
	"authProvider":                               "the schemes that there are are built in",
	"autopurge.purgeInterval":                    whyPurge,
	"autopurge.snapRetainCount":                  whyPurge,
	"bitHashCacheSize":                           whyWatchTables,
	"client.secure":                              whyClientSide,
	"clientCnxnSocket":                           whyClientSide,
	"closeSessionTxn.enabled":                    "the end of a session always lists what it deletes",
	"cnxTimeout":                                 whyElection,
	"commitLogCount":                             whyLearner,
	"commitProcessor.maxCommitBatchSize":         whyPipeline,
	"commitProcessor.maxReadBatchSize":           whyPipeline,
	"commitProcessor.numWorkerThreads":           whyPipeline,
	"commitProcessor.shutdownTimeout":            whyPipeline,
	"configuration":                              whyTesting,
	"connectToLearnerMasterLimit":                whyLearner,
	"connectionDecreaseRatio":                    whyGuideName + "connection_throttle_decrease_ratio",
	"connectionDropDecrease":                     whyGuideName + "connection_throttle_drop_decrease",
	"connectionDropIncrease":                     whyGuideName + "connection_throttle_drop_increase",
	"connectionFreezeTime":                       whyGuideName + "connection_throttle_freeze_time",
	"connectionMaxTokens":                        whyGuideName + "connection_throttle_tokens",
	"connectionTokenFillCount":                   whyGuideName + "connection_throttle_fill_count",
	"connectionTokenFillTime":                    whyGuideName + "connection_throttle_fill_time",
	"controllerPort":                             whyTesting,
	"dataLogDir":                                 "the log and the snapshots are both in dataDir; put dataDir on the fast disk",
	"db.autocreate":                              "a member that lost its data comes back as a new one, and has no vote before it has caught up",
	"digest.enabled":                             "the state's digest is always kept and compared",
	"disableAutoWatchReset":                      whyClientSide,
	"electionAlg":                                whyElection,
	"electionPortBindRetry":                      whyElection,
	"emulate353TTLNodes":                         "TTL nodes are not encoded in an ephemeral owner here",
	"enableEagerACLCheck":                        "an ACL is looked at when a write is applied: before that the node may change",
	"extendedTypesEnabled":                       "TTL and container nodes are always there",
	"fastleader.maxNotificationInterval":         whyElection,
	"fastleader.minNotificationInterval":         whyElection,
	"flushDelay":                                 whyFlush,
	"follower.nodelay":                           whyLearner,
	"follower.skipLearnerRequestToNextProcessor": whyPipeline,
	"forceSnapshotSync":                          whyTesting,
	"forceSync":                                  "a write is synced on a majority of disks before it is acknowledged, always",
	"forward_learner_requests_to_commit_processor_disabled": whyPipeline,
	"fsync.warningthresholdms":                              "the time of every sync is in /metrics (stage_sync), and a disk that hangs hands over leadership by itself",
	"initLimit":                                             "it is shown by conf; members that are behind catch up at their own speed",
	"intBufferStartingSizeBytes":                            whyNIO,
	"jmx.log4j.disable":                                     whyJVM,
	"jmx.log4j.mbean":                                       whyJVM,
	"jute.maxbuffer.extrasize":                              "a request is not stored in its own form, and there is room for what is added to it",
	"jvm.pause.info-threshold.ms":                           whyJVM,
	"jvm.pause.monitor":                                     whyJVM,
	"jvm.pause.sleep.time.ms":                               whyJVM,
	"jvm.pause.warn-threshold.ms":                           whyJVM,
	"kerberos.canonicalizeHostNames":                        whyClientSide,
	"kerberos.minReLoginTimeMs":                             "a server has its key in a keytab and no ticket of its own, so it never logs in again",
	"kinit":                                                 "a server has its key in a keytab and no ticket of its own, so it never runs kinit",
	"leader.ackLoggingFrequency":                            whyLearner,
	"leader.closeSocketAsync":                               whyLearner,
	"leader.maxConcurrentDiffSyncs":                         whyLearner,
	"leader.maxConcurrentSnapSyncs":                         whyLearner,
	"leader.maxTimeToWaitForEpoch":                          whyElection,
	"leader.nodelay":                                        whyLearner,
	"leaderConnectDelayDuringRetryMs":                       whyLearner,
	"leaderServes":                                          "serving clients costs the leader little: reads do not pass through the loop that orders writes",
	"learner.asyncSending":                                  whyLearner,
	"learner.closeSocketAsync":                              whyLearner,
	"maxBatchSize":                                          whyFlush,
	"maxConcurrentDiffSyncs":                                whyLearner,
	"maxConcurrentSnapSyncs":                                whyLearner,
	"maxGetChildrenResponseCacheSize":                       whyReplyCache,
	"maxInProcessingDeadWatchers":                           whyWatchTables,
	"maxResponseCacheSize":                                  whyReplyCache,
	"maxTimeToWaitForEpoch":                                 whyElection,
	"maxWriteQueuePollTime":                                 whyFlush,
	"messageTracker.BufferSize":                             whyLearner,
	"messageTracker.Enabled":                                whyLearner,
	"metricsProvider.className":                             "/metrics is always there, on the admin port and on metricsProvider.httpPort",
	"metricsProvider.maxQueueSize":                          "figures are counted without a queue",
	"metricsProvider.numWorkerThreads":                      "figures are counted without threads",
	"metricsProvider.workerShutdownTimeoutMs":               "figures are counted without threads",
	"multiAddress.enabled":                                  "members have one address each; a server line with several is refused",
	"multiAddress.reachabilityCheckEnabled":                 "members have one address each; there is no other to try",
	"multiAddress.reachabilityCheckTimeoutMs":               "members have one address each; there is no other to try",
	"netty.advancedFlowControl.enabled":                     whyNetty,
	"netty.server.earlyDropSecureConnectionHandshakes":      "a server that does not serve yet lets new clients wait for as long as an election takes",
	"nio.directBufferBytes":                                 whyNIO,
	"nio.numSelectorThreads":                                whyNIO,
	"nio.numWorkerThreads":                                  whyNIO,
	"nio.shutdownTimeout":                                   whyNIO,
	"observer.election.DelayMs":                             whyElection,
	"observer.reconnectDelayMs":                             whyLearner,
	"observer.syncEnabled":                                  "an observer has its own log on its own disk, always",
	"observerMaster.sizeLimit":                              whyLearner,
	"observerMasterPort":                                    whyLearner,
	"oraclePath":                                            "two members can't tell who of them lives; give the ensemble a third",
	"pathStats.delay":                                       whyPathStats,
	"pathStats.enabled":                                     whyPathStats,
	"pathStats.initialDelay":                                whyPathStats,
	"pathStats.sampleRate":                                  whyPathStats,
	"pathStats.slotCapacity":                                whyPathStats,
	"pathStats.slotDuration":                                whyPathStats,
	"pathStats.topPathMax":                                  whyPathStats,
	"preAllocSize":                                          whyDisk,
	"quorum.cnxn.threads.size":                              whyElection,
	"quorumCnxnTimeoutMs":                                   whyElection,
	"request.timeout":                                       whyClientSide,
	"request_stale_connection_check":                        whyStale,
	"request_stale_latency_check":                           "a session does not expire while a request of it waits here",
	"request_throttle_drop_stale":                           whyStale,
	"request_throttle_stall_time":                           "a request that waits is woken when it is its turn",
	"request_throttler.shutdownTimeout":                     "a server that is told to stop answers what it has read, for up to ten seconds",
	"requireKerberosConfig":                                 "krb5.conf is not read: a keytab and a principal are all that a server needs",
	"sasl.client":                                           whyClientSide,
	"sasl.client.canonicalize.hostname":                     whyClientSide,
	"sasl.client.username":                                  whyClientSide,
	"sasl.clientconfig":                                     whyClientSide,
	"serializeLastProcessedZxid.enabled":                    "a snapshot always holds its zxid",
	"serverCnxnFactory":                                     whyNIO,
	"snapCount":                                             whySnapshotDo,
	"snapshot.compression.method":                           whySnapshotDo,
	"snapshot.trust.empty":                                  "an empty snapshot is never trusted: what is on disk is checked, and a member that lost data comes back as a new one",
	"snapshotSizeFactor":                                    whyLearner,
	"ssl.handshakeDetectionTimeoutMillis":                   "one limit holds for the whole handshake, from the first byte on",
	"ssl.quorum.handshakeDetectionTimeoutMillis":            "one limit holds for the whole handshake, from the first byte on",
	"ssl.sslProvider":                                       "the TLS here is Go's",
	"syncEnabled":                                           "an observer has its own log on its own disk, always",
	"syncLimit":                                             "it is shown by conf; a member that is behind is sent the log, or a snapshot, until it has caught up",
	"tcpKeepAlive":                                          "members send each other heartbeats",
	"test.allowDiscontinuousProposals":                      whyTesting,
	"testingonly.initialZxid":                               whyTesting,
	"txnLogSizeLimitInKb":                                   whyDisk,
	"version":                                               "the version of the membership is in /zookeeper/config",
	"watchManagerName":                                      whyWatchTables,
	"watcherCleanIntervalInSeconds":                         whyWatchTables,
	"watcherCleanThreadsNum":                                whyWatchTables,
	"watcherCleanThreshold":                                 whyWatchTables,
}

// pending are ZooKeeper's keys that should mean something here and do not yet. They are named in a warning. One line per key,
// sorted; a key that gets a meaning moves to keys.
var pending = map[string]bool{
	"znode.container.maxNeverUsedIntervalMs": true,
}

// pendingPrefixes are families of keys that do not mean anything yet, or only where keys names them.
var pendingPrefixes = []string{"authProvider.", "quorum.auth."}

// Why says, as a sentence, why a key that is in Config.Ignored does nothing.
func Why(key string) string {
	plain := strings.TrimPrefix(key, "zookeeper.") // as the system properties are called
	if why, ok := meaningless[plain]; ok {
		return key + " has no meaning here: " + why
	}
	return key + " is not supported yet, so it does nothing"
}
