package sock

import "net"

// unread is a connection of which something was read already.
type unread struct {
	net.Conn
	head []byte // owned by the goroutine that reads
}

// Unread returns c with b, which was read from it, to be read again first. b is the connection's from then on.
func Unread(c net.Conn, b []byte) net.Conn { return &unread{c, b} }

// Read implements net.Conn.
func (u *unread) Read(b []byte) (int, error) {
	if len(u.head) == 0 {
		return u.Conn.Read(b)
	}
	n := copy(b, u.head)
	if u.head = u.head[n:]; len(u.head) == 0 {
		u.head = nil
	}
	return n, nil
}
