package server

import "gopherwood/zk"

// class is what a connection does with a request.
type class uint8

const (
	classUnknown  class = iota // answered UNIMPLEMENTED, then closed
	classWrite                 // proposed; answered when it was applied here
	classRead                  // executed here, under the tree's lock
	classSync                  // answered when this server has caught up
	classAuth                  // changes the connection at once
	classReconfig              // answered when the leader has changed the ensemble
)

// opInfo is what the server knows of an operation: its class, its name in cons (FinalRequestProcessor's lastOp) and in metrics.
type opInfo struct {
	class  class
	last   string
	metric string
}

// opSlots is the length of a table of all operations by slotOf.
const opSlots = 128

// opTable has the operations that clients may send, by slotOf. check alone is not among them.
var opTable = [opSlots]opInfo{
	zk.OpCreate:               {classWrite, "CREA", "create"},
	zk.OpDelete:               {classWrite, "DELE", "delete"},
	zk.OpExists:               {classRead, "EXIS", "exists"},
	zk.OpGetData:              {classRead, "GETD", "get_data"},
	zk.OpSetData:              {classWrite, "SETD", "set_data"},
	zk.OpGetACL:               {classRead, "GETA", "get_acl"},
	zk.OpSetACL:               {classWrite, "SETA", "set_acl"},
	zk.OpGetChildren:          {classRead, "GETC", "get_children"},
	zk.OpSync:                 {classSync, "SYNC", "sync"},
	zk.OpReconfig:             {classReconfig, "RECO", "reconfig"},
	zk.OpPing:                 {classRead, "PING", "ping"},
	zk.OpGetChildren2:         {classRead, "GETC", "get_children2"},
	zk.OpMulti:                {classWrite, "MULT", "multi"},
	zk.OpCreate2:              {classWrite, "CREA", "create2"},
	zk.OpCheckWatches:         {classRead, "CHKW", "check_watches"},
	zk.OpRemoveWatches:        {classRead, "REMW", "remove_watches"},
	zk.OpCreateContainer:      {classWrite, "CREA", "create_container"},
	zk.OpCreateTTL:            {classWrite, "CREA", "create_ttl"},
	zk.OpMultiRead:            {classRead, "MLTR", "multi_read"},
	zk.OpAuth:                 {classAuth, "AUTH", "auth"},
	zk.OpSASL:                 {classAuth, "SASL", "sasl"},
	zk.OpSetWatches:           {classRead, "SETW", "set_watches"},
	zk.OpGetEphemerals:        {classRead, "GETE", "get_ephemerals"},
	zk.OpGetAllChildrenNumber: {classRead, "GETACN", "get_all_children_number"},
	zk.OpSetWatches2:          {classRead, "STW2", "set_watches2"},
	zk.OpAddWatch:             {classRead, "ADDW", "add_watch"},
	zk.OpWhoAmI:               {classRead, "HOMI", "who_am_i"},
	slotCloseSession:          {classWrite, "CLOS", "close_session"},
	slotCreateSession:         {classUnknown, "SESS", "create_session"},
}

// The session operations have negative codes: they are counted in slots that no operation has.
const (
	slotCloseSession  = opSlots - 1
	slotCreateSession = opSlots - 2
	slotUnknown       = 0
)

// slotOf is an operation's place in tables.
func slotOf(op zk.OpCode) int {
	switch {
	case op == zk.OpCloseSession:
		return slotCloseSession
	case op == zk.OpCreateSession:
		return slotCreateSession
	case op > 0 && op < slotCreateSession:
		return int(op)
	}
	return slotUnknown
}

// classOf is what to do with a request of this type.
func classOf(op zk.OpCode) class { return opTable[slotOf(op)].class }
