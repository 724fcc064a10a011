// Package client is a Go client for Gopherwood and for any ZooKeeper: context-aware, reconnecting, typed.
//
//	c, err := client.Connect(ctx, "zk1:2181,zk2:2181,zk3:2181/app", client.Options{})
//	data, stat, err := c.Get(ctx, "/config")
//
// One Client is one session. It keeps one connection and moves it to another server when it is lost:
//
//	              dial, handshake                   connection lost
//	Disconnected ─────────────────► SyncConnected ─────────────────► Disconnected …
//	      │ server: unknown session       │ identity refused               │
//	      ▼                               ▼                                ▼  Close, Detach
//	   Expired                        AuthFailed                         Closed        (these three are final)
//
// # Requests
//
// All methods may be called from any goroutine. Callers share the connection; requests leave in the order in which their
// calls were made, are answered in that order, and those of one goroutine are never reordered. A request that was
// not sent when the connection was lost waits for the next one. One that was sent and not answered is sent again if it only
// reads (a few times; see maxSends in limits.go); if it writes, it fails with zk.ErrConnectionLoss and OutcomeUnknown reports true of the error, because the server may have
// carried it out. A context that ends takes a request out of the queue, or, when it was sent already, gives up waiting
// for the answer (OutcomeUnknown again, for a write).
//
// # Watches
//
// A Watch is a channel of events, or a callback by [Watch.Do]. An event is in the channel before any call returns whose answer shows
// the change. Watches survive reconnecting: one-shot ones report what was missed; persistent ones get one event of type
// zk.EventNone, which says that others may have been missed.
//
// # What it does not do
//
// It does not cache, does not make a new session when its own has expired (the ephemeral nodes are gone: only the
// application knows what that means), does not speak SASL and does not accept read-only servers.
package client
