package sim

// The bounds of the package. Simulated times are in microseconds.
const (
	// traceLines is how many events are kept to be printed with a failure.
	traceLines = 400
	// maxEvents ends a run that goes round in circles.
	maxEvents = 5_000_000
	// maxServers is the largest ensemble that is drawn.
	maxServers = 7
	// maxPending bounds the commands of one server's clients that wait to be applied.
	maxPending = 4096
	// maxBarriers bounds the barriers of one server that wait.
	maxBarriers = 256
	// maxHeldFrames bounds what waits in a link that a partition holds up; then the link takes no more.
	maxHeldFrames = 2000
	// maxIncarnations bounds how often a run wipes disks.
	maxIncarnations = 6

	// maxTasks bounds the goroutines of one server, and maxLastParks how often they may want to wait after it was closed.
	maxTasks     = 1000
	maxLastParks = 10_000
	// maxCalls is how many requests of one client are under way before it sends no more, and maxReply bounds a reply.
	maxCalls = 200
	// maxLines is more connections than a server of the simulation can have if it lets go of dead ones.
	maxLines = 500
	maxReply = 4 << 20

	// What a node may have under way. These are not limits of the node but what it cannot exceed if its limits hold.
	maxAppends       = 4096
	maxUnackedChunks = 2 * maxPending

	// maxSteps bounds a range of clients' steps in a script.
	maxSteps = 1 << 24
	// maxFaultPhase and maxClients bound what a script may ask for.
	maxFaultPhase = 600 * second
	maxClients    = 1000

	// diskBytes is the size of a disk.
	diskBytes = 1 << 40
	// noSpaceRetry is how long a writer waits that found the disk full.
	noSpaceRetry = 100 * millisecond

	millisecond = int64(1000)
	second      = 1000 * millisecond
	// startMs is the wall clock at the start of a simulation, milliseconds since the Unix epoch.
	startMs = 1_700_000_000_000

	// convergeWithin is how long after the last fault everything has to be answered and equal.
	convergeWithin = 90 * second
	// beyondPatience is how long a run beyond the fault budget is watched after the last fault: it may have stopped for good.
	beyondPatience = 15 * second
)
