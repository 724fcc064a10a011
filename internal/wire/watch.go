package wire

import "gopherwood/zk"

// SetWatches arms a client's watches again on the server that it has come back to. What changed after RelativeZxid, the
// last zxid that the client saw, fires at once.
type SetWatches struct {
	RelativeZxid int64
	DataWatches  []string // on nodes that existed
	ExistWatches []string // on nodes that did not
	ChildWatches []string
}

// Append appends the record to b.
func (r *SetWatches) Append(b []byte) []byte {
	b = AppendInt64(b, r.RelativeZxid)
	b = AppendStrings(b, r.DataWatches)
	b = AppendStrings(b, r.ExistWatches)
	return AppendStrings(b, r.ChildWatches)
}

// Decode reads the record; the slices' space is used again.
func (r *SetWatches) Decode(d *Decoder) {
	r.RelativeZxid = d.Int64()
	r.DataWatches = d.Strings(r.DataWatches)
	r.ExistWatches = d.Strings(r.ExistWatches)
	r.ChildWatches = d.Strings(r.ChildWatches)
}

// SetWatches2 is SetWatches from a client that has persistent watches as well.
type SetWatches2 struct {
	SetWatches
	PersistentWatches          []string
	PersistentRecursiveWatches []string
}

// Append appends the record to b.
func (r *SetWatches2) Append(b []byte) []byte {
	b = r.SetWatches.Append(b)
	b = AppendStrings(b, r.PersistentWatches)
	return AppendStrings(b, r.PersistentRecursiveWatches)
}

// Decode reads the record; the slices' space is used again.
func (r *SetWatches2) Decode(d *Decoder) {
	r.SetWatches.Decode(d)
	r.PersistentWatches = d.Strings(r.PersistentWatches)
	r.PersistentRecursiveWatches = d.Strings(r.PersistentRecursiveWatches)
}

// AddWatchRequest asks for addWatch.
type AddWatchRequest struct {
	Path string
	Mode zk.AddWatchMode
}

// Append appends the record to b.
func (r *AddWatchRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendInt32(b, int32(r.Mode))
}

// Decode reads the record.
func (r *AddWatchRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Mode = zk.AddWatchMode(d.Int32())
}

// CheckWatchesRequest asks for checkWatches.
type CheckWatchesRequest struct {
	Path string
	Type zk.WatcherType
}

// Append appends the record to b.
func (r *CheckWatchesRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendInt32(b, int32(r.Type))
}

// Decode reads the record.
func (r *CheckWatchesRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Type = zk.WatcherType(d.Int32())
}

// RemoveWatchesRequest asks for removeWatches.
type RemoveWatchesRequest struct {
	Path string
	Type zk.WatcherType
}

// Append appends the record to b.
func (r *RemoveWatchesRequest) Append(b []byte) []byte {
	b = AppendString(b, r.Path)
	return AppendInt32(b, int32(r.Type))
}

// Decode reads the record.
func (r *RemoveWatchesRequest) Decode(d *Decoder) {
	r.Path = d.String()
	r.Type = zk.WatcherType(d.Int32())
}

// WatcherEvent tells a client that a watch fired. AppendEventFrame puts it into its frame.
type WatcherEvent struct {
	Type  zk.EventType
	State zk.KeeperState
	Path  string
}

// Append appends the record to b.
func (r *WatcherEvent) Append(b []byte) []byte {
	b = AppendInt32(b, int32(r.Type))
	b = AppendInt32(b, int32(r.State))
	return AppendString(b, r.Path)
}

// Decode reads the record.
func (r *WatcherEvent) Decode(d *Decoder) {
	r.Type = zk.EventType(d.Int32())
	r.State = zk.KeeperState(d.Int32())
	r.Path = d.String()
}
