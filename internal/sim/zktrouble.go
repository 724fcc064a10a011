package sim

// What goes wrong between clients and servers, in the order of serviceParams.weights.
const (
	troubleReset    = iota // the connection breaks, and both sides hear of it
	troubleCut             // it breaks, and nobody does
	troubleSleep           // the client reads nothing for a while, as in a long garbage collection
	troubleSlowUp          // nothing gets to the server for a while
	troubleSlowDown        // nothing gets to the client for a while
	troubleLeave           // the client hangs up and goes elsewhere
	troubleStray           // the client goes elsewhere, and what it has sent is late at the server that it has left
	troubleAway            // the client hangs up, or not, and comes back late, perhaps too late for its session
	troubles
)

var troubleNames = [troubles]string{"resets", "cuts", "sleeps", "stops upwards", "stops downwards", "leaves", "strays", "absences"}

// misfortune lets something go wrong for a client now and then.
func (c *zkClient) misfortune() {
	s := c.sim
	if !s.lineRand.chance(s.sp.trouble) {
		return
	}
	k := c.link
	l := k.line
	kind := s.lineRand.pick(s.sp.weights[:])
	if s.sp.weights[kind] == 0 || !k.established {
		return
	}
	s.stats.Swarm.Troubles[kind]++
	long := s.lineRand.between(1, 1<<s.lineRand.IntN(13)) * millisecond
	c.log("has trouble %d for %d ms", uint64(kind), uint64(long/millisecond), 0)
	switch kind {
	case troubleReset:
		l.breakUp()
	case troubleCut:
		l.cut = true
	case troubleSleep:
		c.stalled = s.now + long
		s.after(long, func() { c.readable(l) })
	case troubleSlowUp:
		l.up.still = s.now + long
	case troubleSlowDown:
		l.down.still = s.now + long
	case troubleLeave:
		c.drop("changes its mind")
	case troubleAway:
		c.away = s.now + s.lineRand.between(0, 2*c.timeout())
		if s.lineRand.chance(0.5) {
			l.cut = true
		}
		c.drop("goes away")
	case troubleStray:
		l.up.still = s.now + long
		c.drop("is led astray")
	}
}

// peaceful says whether nothing goes wrong any more.
func (s *simulation) peaceful() bool { return s.calm || s.o.Profile == Calm }
