// Package admin is the operator's side of a replica over HTTP: a Handler that a service mounts on a port of its own, and a Client for it. It is what
// "gopherwood cluster" talks to, so that one set of commands works against every service that embeds package replica.
//
//	mux.Handle(admin.Prefix, admin.Handler(r, admin.Options{}))
//
// All below Prefix, "/replica/":
//
//	GET  status                      Status, as JSON
//	GET  metrics                     for Prometheus
//	GET  log?from=INDEX&n=COUNT      a part of this member's log, as JSON            guarded
//	GET  backup                      a backup (replica.Backup), a stream             guarded
//	POST snapshot                    write a snapshot now                            guarded
//	POST transfer?to=ID              hand leadership over                            guarded, the leader only
//	POST add?id=ID&observer=BOOL     make a guest, an observer or a voter one or the other     guarded, the leader only
//	POST remove?id=ID                take a server out                               guarded, the leader only
//
// Errors are JSON, {"error": "…"}, with a status: 400 a request that makes no sense, 403 not allowed, 409 refused as things stand, 421 not the leader (then
// with "leader"), 503 not possible now.
//
// # Who may
//
// What changes something, or shows the state, is guarded: without Options.Authorize only requests from the machine itself are obeyed; with it, those
// that it lets pass. A guarded request also carries the header "Gopherwood-Admin", which a page in somebody's browser can't set on another site.
// The package does no encryption: mount it behind TLS, or on a loopback address, as the service's other pages.
package admin

// Prefix is the path that Handler is mounted on, and Header what guarded requests carry, with any value.
const (
	Prefix = "/replica/"
	Header = "Gopherwood-Admin"
)

const (
	// maxAnswerBytes bounds an answer that a Client reads whole.
	maxAnswerBytes = 64 << 20
	// maxErrorBytes bounds an error that it reads.
	maxErrorBytes = 64 << 10
	// defaultEntries is how much of the log is shown if nothing else is asked for.
	defaultEntries = 100
)
