package certs

import "time"

const (
	// maxFileBytes bounds a file of certificates or keys. One with all authorities of the web's has some 250 KB.
	maxFileBytes = 4 << 20
	// maxPasswordBytes bounds a file that holds a password.
	maxPasswordBytes = 64 << 10
	// WatchInterval is how often the files are looked at (a stat of each).
	WatchInterval = time.Second
	// expirySoon: a certificate of our own that ends within it is worth a warning at the start and at every change.
	expirySoon = 14 * 24 * time.Hour
)
