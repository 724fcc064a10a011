package zk

import "strconv"

// Code is an error code of the protocol as a reply's header carries it (KeeperException.Code). It implements error, so that
// a protocol outcome travels as an ordinary Go error and errors.Is(err, zk.ErrNoNode) finds it through wrapping.
type Code int32

// The codes, with ZooKeeper's numbers. OK is the zero value and is never returned as an error.
const (
	OK                          Code = 0
	ErrSystem                   Code = -1
	ErrRuntimeInconsistency     Code = -2
	ErrDataInconsistency        Code = -3
	ErrConnectionLoss           Code = -4
	ErrMarshalling              Code = -5
	ErrUnimplemented            Code = -6
	ErrOperationTimeout         Code = -7
	ErrBadArguments             Code = -8
	ErrUnknownSession           Code = -12
	ErrNewConfigNoQuorum        Code = -13
	ErrReconfigInProgress       Code = -14
	ErrAPI                      Code = -100
	ErrNoNode                   Code = -101
	ErrNoAuth                   Code = -102
	ErrBadVersion               Code = -103
	ErrNoChildrenForEphemerals  Code = -108
	ErrNodeExists               Code = -110
	ErrNotEmpty                 Code = -111
	ErrSessionExpired           Code = -112
	ErrInvalidCallback          Code = -113
	ErrInvalidACL               Code = -114
	ErrAuthFailed               Code = -115
	ErrSessionMoved             Code = -118
	ErrNotReadOnly              Code = -119
	ErrEphemeralOnLocalSession  Code = -120
	ErrNoWatcher                Code = -121
	ErrRequestTimeout           Code = -122
	ErrReconfigDisabled         Code = -123
	ErrSessionClosedRequireSASL Code = -124
	ErrQuotaExceeded            Code = -125
	ErrThrottledOp              Code = -127
)

var codeNames = map[Code]string{
	OK:                          "ok",
	ErrSystem:                   "system error",
	ErrRuntimeInconsistency:     "runtime inconsistency",
	ErrDataInconsistency:        "data inconsistency",
	ErrConnectionLoss:           "connection lost",
	ErrMarshalling:              "marshalling error",
	ErrUnimplemented:            "operation not implemented",
	ErrOperationTimeout:         "operation timed out",
	ErrBadArguments:             "bad arguments",
	ErrUnknownSession:           "unknown session",
	ErrNewConfigNoQuorum:        "no quorum of the new configuration is connected",
	ErrReconfigInProgress:       "another reconfiguration is in progress",
	ErrAPI:                      "API error",
	ErrNoNode:                   "node does not exist",
	ErrNoAuth:                   "not authorised",
	ErrBadVersion:               "version differs",
	ErrNoChildrenForEphemerals:  "ephemeral nodes may not have children",
	ErrNodeExists:               "node exists",
	ErrNotEmpty:                 "node has children",
	ErrSessionExpired:           "session expired",
	ErrInvalidCallback:          "invalid callback",
	ErrInvalidACL:               "invalid ACL",
	ErrAuthFailed:               "authentication failed",
	ErrSessionMoved:             "session moved to another server",
	ErrNotReadOnly:              "server is read-only",
	ErrEphemeralOnLocalSession:  "ephemeral node on a local session",
	ErrNoWatcher:                "no such watch",
	ErrRequestTimeout:           "request timed out",
	ErrReconfigDisabled:         "reconfiguration is disabled",
	ErrSessionClosedRequireSASL: "session closed: SASL authentication required",
	ErrQuotaExceeded:            "quota exceeded",
	ErrThrottledOp:              "operation throttled",
}

// Error is the code in words, after "zk: ".
func (c Code) Error() string { return "zk: " + c.String() }

// String is the code in words; a number that ZooKeeper does not define is printed as it is.
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "code " + strconv.Itoa(int(c))
}

// Err is nil for OK and the code itself otherwise, for functions that return error.
func (c Code) Err() error {
	if c == OK {
		return nil
	}
	return c
}
