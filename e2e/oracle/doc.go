// Package oracle compares Gopherwood with Apache ZooKeeper, the one that is right by definition: the same requests go to both over the
// same protocol, and everything that comes back is compared.
//
//	seed ──Draw──▶ []Step ──┬─ Target.Run ─ ZooKeeper ───▶ Transcript ──┬─ Diff ─▶ nothing, or the first step that differs
//	testdata/*.txt ─Parse─▶─┴─ Target.Run ─ Gopherwood ──▶ Transcript ──┘                      │
//	                              ▲──────────────── Shrink ◀────────────────────────────────────┘
//
// A Step is one thing that one client does: a request, or a change of its connection or session. Steps are awaited one by one, so that a
// run is the same each time. A client's watch events are read up to the reply to its next request and stand before it in the
// transcript, in the order in which they came: so their order among themselves and relative to replies is compared. After the
// last step every client is heard once more and the whole tree is read by a super user.
//
// Every run has a node of its own for a root, put before its paths as a client with a chroot does; so one server serves
// thousands of runs, several at a time.
//
// # What is not compared as it is
//
// Rules, each named where it is applied (normal.go, reply.go) and listed in docs/compatibility.md:
//
//	ruleZxid      a zxid is its rank among those that the run's own writes and nodes show
//	ruleReadZxid  the zxid of a read's reply is the newest of those that it is not older than
//	ruleUnread    so does that of a write that could not be read: ZooKeeper counts some of these as transactions, some not
//	ruleTime      a time is only checked to be sensible
//	ruleSession   a session's id is its number in the run
//	ruleSet       children, ephemerals and a client's identities come in no order
//	ruleEnd       the events of one session's end come in no order
//
// # A script
//
// One step a line, `client verb path key=value …`; values and paths with anything odd in them are quoted as in Go. Members of a
// multi follow it, indented, without a client. A path is below the run's root and the client's chroot; one that begins with "!" is
// sent as it is, without that. The verbs are the operations under ZooKeeper's names, and:
//
//	open chroot=/a timeout=MS   a new session (a client without one gets one by itself)
//	reconnect timeout=MS        close the connection, come back with the session
//	move                        come back with the session while the old connection is open (to another server, if there is one)
//	badpass, future             reconnect with a wrong password; with a zxid that the server has not reached
//	expire                      close the connection and wait until the session has expired
//	close                       end the session
//	gone /path                  wait until the server has removed the node by itself
//	raw code=N body=HEX         any request
//
// A file in testdata is a script, a line of dashes and what ZooKeeper answered: a Gopherwood alone can be held to it.
//
// Only end-to-end tests use it. It does not look at four-letter words, metrics or anything else beside the client port.
package oracle
