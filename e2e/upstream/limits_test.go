package upstream

import "time"

const (
	// workers is how many JVMs run side by side: the tests wait more than they work.
	workers = 3
	// methodLimit bounds one test; ZooKeeper's longest that passes takes a minute.
	methodLimit = 2 * time.Minute
	// classLimit bounds one class.
	classLimit = 15 * time.Minute
	// kazooLimit bounds kazoo's tests.
	kazooLimit = 20 * time.Minute
	// killLimit is how long the pipes of a killed process group may stay open.
	killLimit = 10 * time.Second
)
