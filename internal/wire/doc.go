// Package wire is the bytes of ZooKeeper's client protocol, version 3.9: jute's primitives, every record that a client and a
// server send each other, and the frames around them. Records and fields have ZooKeeper's names (zookeeper.jute). All of them
// go both ways: the server decodes requests and appends replies, the client does the reverse.
//
// # Frames
//
// Everything is big-endian. A connection carries frames, and each direction starts with one of its own kind:
//
//	frame     | length int32 | length bytes |           0 <= length <= the receiver's limit (jute.maxbuffer)
//	first     | ConnectRequest |                        client -> server
//	          | ConnectResponse |                       server -> client
//	request   | RequestHeader{xid, type} | request |    type picks the record; ping, closeSession and whoAmI have none
//	reply     | ReplyHeader{xid, zxid, err} | reply |   with err != 0 nothing follows
//	event     | ReplyHeader{-1, zxid, 0} | WatcherEvent |
//
// # Primitives
//
//	boolean   1 byte, 0 or 1; any other is true
//	int       4 bytes
//	long      8 bytes
//	ustring   | length int32 | UTF-8 |                  length -1: null
//	buffer    | length int32 | bytes |                  length -1: null, which is not the same as empty
//	vector    | count int32 | elements |                count -1: null
//
// # Which record belongs to which operation
//
//	create                          CreateRequest                 CreateResponse
//	create2, createContainer        CreateRequest                 Create2Response
//	createTTL                       CreateTTLRequest              Create2Response
//	delete                          DeleteRequest                 -
//	exists                          ExistsRequest                 ExistsResponse
//	getData                         GetDataRequest                GetDataResponse
//	setData                         SetDataRequest                SetDataResponse
//	getACL, setACL                  GetACLRequest, SetACLRequest  GetACLResponse, SetACLResponse
//	getChildren                     GetChildrenRequest            GetChildrenResponse
//	getChildren2                    GetChildren2Request           GetChildren2Response
//	getAllChildrenNumber            GetAllChildrenNumberRequest   GetAllChildrenNumberResponse
//	getEphemerals                   GetEphemeralsRequest          GetEphemeralsResponse
//	sync                            SyncRequest                   SyncResponse
//	check (only inside multi)       CheckVersionRequest           -
//	multi, multiRead                MultiRequest                  MultiResponse
//	setWatches, setWatches2         SetWatches, SetWatches2       -
//	addWatch                        AddWatchRequest               ErrorResponse{0}
//	checkWatches, removeWatches     CheckWatchesRequest, RemoveWatchesRequest  -
//	auth                            AuthPacket                    -
//	sasl                            GetSASLRequest                SetSASLResponse
//	reconfig                        ReconfigRequest               GetDataResponse
//	whoAmI                          -                             WhoAmIResponse
//	ping, closeSession              -                             -
//
// # Decoding
//
// A Decoder reads one frame. It never panics and never believes a length or a count that the rest of the frame could not
// hold, so what a frame makes it allocate is at most a small multiple of the frame (limits.go). Its first error sticks; fields
// read after it are zero. Bytes after a record are left alone, as ZooKeeper does: newer clients may know more fields.
//
// Strings and buffers alias the frame. They are valid only as long as the frame is neither written to nor given back to a
// pool; whoever keeps one clones it (strings.Clone, bytes.Clone). Slices inside a record are reused when the record is decoded
// again, so a record that lives as long as its connection costs no allocation for a request that fits the last one's slices. The
// price: it keeps the largest slices it ever had, several MiB after a frame of 1 MiB full of tiny operations. Whoever keeps records
// sets such slices to nil when they are idle or large.
//
// A null string is read as "", and "" is never written as null. The exceptions, where the difference means something, are
// []byte (ReconfigRequest). Slices keep nil (null) and empty apart, both ways. Lengths below -1 are errors, and so
// are counts, which ZooKeeper reads as those of empty vectors.
//
// # What it does not do
//
// It opens no connection, checks no path, ACL or mode and knows no four-letter words. Nothing here has state beyond the
// caller's values; one Decoder or record must not be used by two goroutines at once.
package wire
