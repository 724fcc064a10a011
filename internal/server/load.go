package server

// Load is how much of its clients' requests and replies a server holds. Each figure has its bound in Config.
type Load struct {
	Connections int
	Longest     int   // requests of one connection that are not answered, of the one with most; at most MaxOutstanding
	InBytes     int64 // of long requests and of waiting reads; at most MaxInTotal, and one request of each connection more
	OutBytes    int   // replies and events of one connection that are not sent, of the one with most
}

// Load may be called on any goroutine that holds no lock of the server's.
func (s *Server) Load() (l Load) {
	for _, c := range s.conns() {
		c.mu.Lock()
		l.Connections++
		l.Longest = max(l.Longest, c.queue.len)
		l.OutBytes = max(l.OutBytes, c.backlogLocked())
		c.mu.Unlock()
	}
	l.InBytes = s.inTotal.Load()
	return l
}
