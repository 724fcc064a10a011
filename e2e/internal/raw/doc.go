// Package raw speaks ZooKeeper's client protocol with its own hands: one TCP connection, requests and replies, nothing in between.
//
// It exists for the fault tests, which have to know what ordinary clients hide: that a connection broke, that a reply came out of
// order, when exactly a reply came. It never reconnects, never repeats a request, never sends a ping unless told to. It shares no
// code with the server (internal/wire), so that a mistake there is not made twice.
//
//	client ──▶ int length | int xid | int op | body            server ──▶ int length | int xid | long zxid | int err | body
//
// One goroutine may send while another receives; no more. Only end-to-end tests use it.
package raw
