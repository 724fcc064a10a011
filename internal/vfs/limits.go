package vfs

// maxVersions bounds how many contents of one unsynced sector, and lengths of one unsynced file, a Mem keeps to choose from; the oldest and the
// newest are always among them.
const maxVersions = 6

// maxOwner bounds what is read back from a lock file, in bytes.
const maxOwner = 256
