package server

import (
	"strings"

	"gopherwood/internal/audit"
	"gopherwood/internal/tree"
	"gopherwood/replica"
	"gopherwood/zk"
)

// The audit log (FinalRequestProcessor, AuditHelper): the server that a client is connected to writes a line for each of its changes, and for each attempt at one, when it is applied. Every server
// writes one for each ephemeral node that goes with its session (DataTree.deleteNodes). All of this is called by the loop, which Log.Add never makes to wait.

// auditWrite is the line of a client's write, or the lines of a multi.
func (s *Server) auditWrite(c replica.Command, cmd *tree.Command, res *tree.Result) {
	if c.Origin != s.origin() || len(cmd.Ops) == 0 {
		return
	}
	e := audit.Event{Session: cmd.Session, User: auditUsers(cmd.Auth), Result: audit.Success}
	if len(cmd.Auth) > 0 && cmd.Auth[0].Scheme == schemeIP {
		e.IP = cmd.Auth[0].ID
	}
	switch {
	case cmd.Kind == tree.KindWrite:
		if res.Code != zk.OK {
			e.Result = audit.Failure
		}
		s.auditOp(e, &cmd.Ops[0], res.Path)
	case res.Code != zk.OK || res.Failed() != zk.OK:
		e.Operation, e.Result = audit.OpMulti, audit.Failure
		s.cfg.Audit.Add(&e)
	default:
		for i := range cmd.Ops {
			s.auditOp(e, &cmd.Ops[i], res.Ops[i].Path)
		}
	}
}

// auditOp is the line of one write. made is the path of a node that was created, which may have got a number.
func (s *Server) auditOp(e audit.Event, o *tree.Op, made string) {
	e.Znode = o.Path
	switch o.Code {
	case zk.OpCreate, zk.OpCreate2, zk.OpCreateContainer, zk.OpCreateTTL:
		e.Operation = audit.OpCreate
		if o.Mode.IsValid() {
			e.ZnodeType = modeNames[o.Mode]
		}
		if made != "" && e.Result == audit.Success {
			e.Znode = made
		}
	case zk.OpDelete:
		e.Operation = audit.OpDelete
	case zk.OpSetData:
		e.Operation = audit.OpSetData
	case zk.OpSetACL:
		e.Operation, e.ACL = audit.OpSetACL, auditACL(o.ACL)
	default: // a check changes nothing
		return
	}
	s.cfg.Audit.Add(&e)
}

// auditReconfig is the line of a client's reconfig. Its connection's reader calls it.
func (s *Server) auditReconfig(c *conn, code zk.Code) {
	e := audit.Event{Session: c.session, User: auditUsers(c.auth), IP: c.auth[0].ID, Operation: audit.OpReconfig, Result: audit.Failure}
	if code == zk.OK {
		e.Znode, e.Result = configPath, audit.Success
	}
	s.cfg.Audit.Add(&e)
}

// modeNames are CreateMode's, in lower case.
var modeNames = [...]string{zk.ModePersistent: "persistent", zk.ModeEphemeral: "ephemeral", zk.ModePersistentSequential: "persistent_sequential",
	zk.ModeEphemeralSequential: "ephemeral_sequential", zk.ModeContainer: "container", zk.ModeTTL: "persistent_with_ttl",
	zk.ModeTTLSequential: "persistent_sequential_with_ttl"}

// auditUsers are the names of a client, without those of its digests' hashes (AuthUtil.getUsers).
func auditUsers(ids []zk.ID) string {
	var all []string
	for _, id := range ids {
		if id.Scheme == schemeAnySASL {
			continue // says nothing about who it is
		}
		if user := userOf(id); strings.TrimSpace(user) != "" {
			all = append(all, user)
		}
	}
	return strings.Join(all, ",")
}

// userOf is an identity's name (AuthenticationProvider.getUserName).
func userOf(id zk.ID) string {
	if id.Scheme == schemeDigest {
		user, _, _ := strings.Cut(id.ID, ":")
		return user
	}
	return id.ID
}

// auditACL is an ACL as text (ZKUtil.aclToString), with commas between its entries, and with no hash of a password in it.
func auditACL(acl []zk.ACL) string {
	var b strings.Builder
	for i, a := range acl {
		if i > 0 {
			b.WriteByte(',')
		}
		name := a.ID.ID
		if a.ID.Scheme == schemeDigest {
			name = userOf(a.ID) + ":x"
		}
		b.WriteString(a.ID.Scheme + ":" + name + ":")
		for k, perm := range [...]zk.Perms{zk.PermCreate, zk.PermDelete, zk.PermRead, zk.PermWrite, zk.PermAdmin} {
			if a.Perms&perm != 0 {
				b.WriteByte("cdrwa"[k])
			}
		}
	}
	return b.String()
}

// ephemeralsOf are the nodes that go with the sessions that a command ends, before it is applied. A server that is still catching up says nothing: it has
// told of them before, or others have.
func (s *Server) ephemeralsOf(cmd *tree.Command) map[int64][]string {
	if s.cfg.Audit == nil || !s.caughtUp.Load() {
		return nil
	}
	sessions := cmd.Sessions
	switch cmd.Kind {
	case tree.KindCloseSession:
		sessions = []int64{cmd.Session}
	case tree.KindExpire:
	default:
		return nil
	}
	doomed := make(map[int64][]string)
	for _, id := range sessions {
		s.tree.Ephemerals(id, zk.Root, func(path string) bool {
			doomed[id] = append(doomed[id], path)
			return true
		})
	}
	return doomed
}

// auditEnded is the lines of the nodes that have gone with their sessions.
func (s *Server) auditEnded(doomed map[int64][]string, closed []tree.ClosedSession) {
	for _, e := range closed {
		for _, path := range doomed[e.ID] {
			s.cfg.Audit.Add(&audit.Event{Session: e.ID, User: s.auditUser, Operation: audit.OpDeleteEphemeral, Znode: path, Result: audit.Success})
		}
	}
}
