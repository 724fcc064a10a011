package zk

// Stat is a znode's metadata as clients see it (zookeeper.jute, class Stat).
type Stat struct {
	Czxid          int64 // zxid of the transaction that created the node
	Mzxid          int64 // zxid of the last one that changed its data
	Ctime          int64 // creation, in milliseconds since the Unix epoch
	Mtime          int64 // last change of data, likewise
	Version        int32 // changes of data
	Cversion       int32 // creations and deletions of children
	Aversion       int32 // changes of the ACL
	EphemeralOwner int64 // session that owns the node; 0 for others, containers and TTL nodes too
	DataLength     int32 // bytes
	NumChildren    int32
	Pzxid          int64 // zxid of the last creation or deletion of a child
}

// ID is an identity: a scheme ("world", "auth", "digest", "ip", "x509", "sasl") and the name within it.
type ID struct {
	Scheme, ID string
}

// Perms is a set of permissions, as bits (ZooDefs.Perms).
type Perms int32

// The permissions. PermAll is all five.
const (
	PermRead   Perms = 1 << 0
	PermWrite  Perms = 1 << 1
	PermCreate Perms = 1 << 2
	PermDelete Perms = 1 << 3
	PermAdmin  Perms = 1 << 4
	PermAll    Perms = 31
)

// ACL grants Perms to an identity.
type ACL struct {
	Perms Perms
	ID    ID
}

// CreateMode is the flags field of a create request (CreateMode.java).
type CreateMode int32

// The create modes.
const (
	ModePersistent           CreateMode = 0
	ModeEphemeral            CreateMode = 1
	ModePersistentSequential CreateMode = 2
	ModeEphemeralSequential  CreateMode = 3
	ModeContainer            CreateMode = 4
	ModeTTL                  CreateMode = 5
	ModeTTLSequential        CreateMode = 6
)

// IsValid says whether the mode is one that ZooKeeper defines.
func (m CreateMode) IsValid() bool { return m >= ModePersistent && m <= ModeTTLSequential }

// IsEphemeral says whether the node goes when its session ends.
func (m CreateMode) IsEphemeral() bool { return m == ModeEphemeral || m == ModeEphemeralSequential }

// IsSequential says whether the parent's counter is appended to the name.
func (m CreateMode) IsSequential() bool {
	return m == ModePersistentSequential || m == ModeEphemeralSequential || m == ModeTTLSequential
}

// IsTTL says whether the node expires after its TTL.
func (m CreateMode) IsTTL() bool { return m == ModeTTL || m == ModeTTLSequential }

// MaxTTL is the longest TTL of a node, in milliseconds (EphemeralType.TTL: 40 bits).
const MaxTTL int64 = 1<<40 - 1

// EventType is what a watch event says happened (Watcher.Event.EventType).
type EventType int32

// The event types.
const (
	EventNone                   EventType = -1
	EventNodeCreated            EventType = 1
	EventNodeDeleted            EventType = 2
	EventNodeDataChanged        EventType = 3
	EventNodeChildrenChanged    EventType = 4
	EventDataWatchRemoved       EventType = 5
	EventChildWatchRemoved      EventType = 6
	EventPersistentWatchRemoved EventType = 7
)

// KeeperState is the state field of a watch event (Watcher.Event.KeeperState).
type KeeperState int32

// The states that this service and its client use.
const (
	StateDisconnected      KeeperState = 0
	StateSyncConnected     KeeperState = 3
	StateAuthFailed        KeeperState = 4
	StateConnectedReadOnly KeeperState = 5
	StateSASLAuthenticated KeeperState = 6
	StateClosed            KeeperState = 7
	StateExpired           KeeperState = -112
)

// WatcherType selects watches in removeWatches and checkWatches (Watcher.WatcherType).
type WatcherType int32

// The watcher types.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// AddWatchMode is the mode field of an addWatch request.
type AddWatchMode int32

// The addWatch modes.
const (
	AddWatchPersistent          AddWatchMode = 0
	AddWatchPersistentRecursive AddWatchMode = 1
)

// WorldAnyone is the identity that everybody has.
var WorldAnyone = ID{Scheme: "world", ID: "anyone"}

// OpenACL grants everything to everybody (ZooDefs.Ids.OPEN_ACL_UNSAFE). A fresh slice each time: the caller owns it.
func OpenACL() []ACL { return []ACL{{Perms: PermAll, ID: WorldAnyone}} }
