package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"gopherwood/replica/admin"
	"gopherwood/zk"
)

// AuthorizeAdmin says whether a request to the replica's admin endpoint (package replica/admin), which is on the admin port too, may pass. Requests from this
// machine may, so that an operator on it needs no password. Others need an identity, as the commands snapshot and restore do: one with all
// permissions on the root to read the state, and one that may write /zookeeper/config, as for reconfig, to change something.
func (s *Server) AuthorizeAdmin(r *http.Request) error {
	if admin.FromHere(r) {
		return nil
	}
	c := &adminCall{request: r}
	if !s.mayAll(c) {
		return fmt.Errorf("%v: a request from another machine has to prove an identity that the root's ACL gives all permissions (--auth)", c.err)
	}
	if r.Method == http.MethodGet {
		return nil
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.treeMu.RLock()
	defer s.treeMu.RUnlock()
	if !s.tree.Permits(configPath, zk.PermWrite, s.adminIdentities(r, scheme, secret)) {
		return errors.New("a request from another machine that changes the ensemble has to prove an identity that may write /zookeeper/config, as for reconfig (--auth)")
	}
	return nil
}
