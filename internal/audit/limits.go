package audit

const (
	// maxPendingBytes bounds the lines that wait to be written. Beyond it they are lost, and counted.
	maxPendingBytes = 8 << 20

	// maxFieldBytes bounds a field: a client may ask for a path as long as a request. What is beyond it is cut off, and … put in its place.
	maxFieldBytes = 4096
)
