package tree

import "gopherwood/zk"

// Kind says what a Command asks for. The numbers are in the log: never reuse one.
type Kind uint8

// The kinds of command.
const (
	KindWrite         Kind = 1 // one write of a session: Ops[0]
	KindMulti         Kind = 2 // several writes of a session, all or none
	KindCreateSession Kind = 3 // Session, Timeout, Passwd
	KindAttachSession Kind = 4 // Session, Passwd; Timeout if it is to change
	KindCloseSession  Kind = 5 // by the session itself
	KindExpire        Kind = 6 // by the leader: Sessions, Term
	KindReap          Kind = 7 // by the leader: container and TTL nodes as Ops[i].Path, Term
	KindConfig        Kind = 8 // the data of /zookeeper/config, as Ops[0].Data

	// A state that takes the place of the present one (stage.go).
	KindStage   Kind = 9  // some bytes of its snapshot: Stage, Offset, Data
	KindRestore Kind = 10 // the switch: Stage; Offset is the size of the snapshot
	KindUnstage Kind = 11 // no switch: Stage
)

// Op is one write. Which fields count depends on Code:
//
//	OpCreate, OpCreate2, OpCreateContainer   Path Data ACL Mode
//	OpCreateTTL                              Path Data ACL Mode TTL
//	OpDelete, OpCheck                        Path Version
//	OpSetData                                Path Data Version
//	OpSetACL                                 Path ACL Version
//	OpDeleteContainer (KindReap only)        Path
//
// Data nil and Data empty are two different things. Version -1 matches any.
type Op struct {
	Code    zk.OpCode
	Path    string
	Data    []byte
	ACL     []zk.ACL
	Mode    zk.CreateMode
	TTL     int64 // milliseconds
	Version int32
}

// Command is one entry of an origin's stream for the tree. Append and Decode turn it into bytes and back
// (docs/format/command.md).
//
// A Command that was decoded shares memory with the bytes it came from and with itself: everything in it lasts until the next
// Decode into it, or until those bytes change.
type Command struct {
	Kind     Kind
	Session  int64    // whose command it is; not 0, but for the leader's own kinds
	Auth     []zk.ID  // the identities of the session's connection, for KindWrite and KindMulti
	Ops      []Op     // see Kind
	Timeout  int32    // session timeout, milliseconds
	Passwd   [16]byte // session password
	Term     uint64   // raft term in which the leader decided, for KindExpire and KindReap
	Sessions []int64  // sessions to end, for KindExpire

	// EnforceQuota makes a KindWrite or KindMulti fail that goes beyond a hard limit. It is in the command, because all servers must decide
	// alike while each has a configuration of its own.
	EnforceQuota bool

	// Local says of a KindWrite or KindMulti that its session is known only to the server that sends it: the session table is not asked, and the session
	// can have no ephemeral nodes (ZooKeeper's localSessionsEnabled).
	Local bool

	Stage  uint64 // which snapshot is meant, of those that are being staged
	Offset uint64 // of Data in it
	Data   []byte // for KindStage

	acls []zk.ACL // what Ops[i].ACL points into after Decode
}

// Env is what the log knows about the entry of a command.
type Env struct {
	Index, Term uint64 // of the entry
	TimeMs      int64  // the leader's stamp, milliseconds since the Unix epoch; never falls
	Origin      uint64 // the server incarnation that sent the command
}

// OpResult is the outcome of one member of a multi. In a multi that failed every member has Type OpError, and Code OK before
// the culprit, the culprit's own code at it, and RUNTIMEINCONSISTENCY after it (DataTree.processTxn).
type OpResult struct {
	Code zk.Code
	Type zk.OpCode // type of the result's header: OpCreate, OpCreate2, OpDelete, OpSetData, OpCheck or OpError
	Path string    // of OpCreate and OpCreate2
	Stat zk.Stat   // of OpCreate, OpCreate2 and OpSetData
}

// Event is something that watches may wait for.
type Event struct {
	Type zk.EventType
	Path string
	Zxid int64
	ACL  uint32 // the ACL of the node at Path when it happened: ask CanRead before telling a client
}

// SessionInfo is what the session table says about a session after the command.
type SessionInfo struct {
	ID            int64
	TimeoutMs     int32
	Owner         uint64 // server incarnation whose connection it has
	PreviousOwner uint64 // before KindAttachSession
}

// ClosedSession is a session that a command has ended.
type ClosedSession struct {
	ID    int64
	Owner uint64 // server incarnation that had it
}

// Result is the outcome of a command. Its slices, and the strings in them, last until the next Apply with the same Result, and
// the strings no longer than the bytes of the command.
type Result struct {
	Zxid    int64   // the command's own; the last one of several; the tree's last if it took none
	Code    zk.Code // OK for a multi that was refused because of a member: see Ops
	Path    string  // KindWrite: of the node, with the sequence number if it got one
	Stat    zk.Stat // KindWrite: after the write, for OpCreate*, OpSetData, OpSetACL
	Ops     []OpResult
	Session SessionInfo     // KindCreateSession, KindAttachSession
	Events  []Event         // in the order in which ZooKeeper fires them
	Closed  []ClosedSession // by KindRestore, too
	Quotas  []QuotaExcess   // limits that were exceeded, also of a multi that was refused; at most maxQuotaNotes

	paths []byte // bytes of the paths that are not in the command
}

// Failed is the code of the member because of which a multi was refused; OK if it was not.
func (r *Result) Failed() zk.Code {
	for i := range r.Ops {
		if r.Ops[i].Code != zk.OK {
			return r.Ops[i].Code
		}
	}
	return zk.OK
}

// reset empties the result and keeps its memory, but for that of an unusually large one.
func (r *Result) reset(zxid int64) {
	if cap(r.Events) > maxScratch || cap(r.Ops) > maxScratch || cap(r.paths) > maxScratch*64 {
		*r = Result{}
	}
	*r = Result{Zxid: zxid, Ops: r.Ops[:0], Events: r.Events[:0], Closed: r.Closed[:0], Quotas: r.Quotas[:0], paths: r.paths[:0]}
}
