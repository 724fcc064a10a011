package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/client"
)

// errNoQuorum is the outcome of status when no server serves.
var errNoQuorum = errors.New("no server of the ensemble serves")

// wordTimeout bounds one four-letter word.
const wordTimeout = 3 * time.Second

func newStatusCmd() *cobra.Command {
	s := &shell{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the members of the ensemble: role, zxid, lag, connections",
		Long: "Show the members of the ensemble: role, zxid, lag, connections.\n\nAsks every server by the four-letter words srvr, mntr and conf, so it works without a quorum and for ZooKeeper, too; members that" +
			" conf\nnames with their client addresses are asked as well. Words that a server does not allow leave gaps. Lag is how many transactions" +
			" a\nmember is behind the leader, which were counted a moment apart. Fails with code 8 if no server serves.\n\n" + exitCodesHelp,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			servers, _, err := client.ParseServers(s.server)
			if err != nil {
				return usageError{err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
			defer cancel()
			secure, err := s.tls.config()
			if err != nil {
				return err
			}
			e := inspect(ctx, servers, secure)
			if err := s.emit(cmd.OutOrStdout(), e, e.writeText); err != nil {
				return err
			}
			if e.Serving == 0 {
				return errNoQuorum
			}
			return nil
		},
	}
	s.flags(cmd)
	return cmd
}

// overview is what status found out.
type overview struct {
	Leader  string    `json:"leader,omitempty"` // address
	Serving int       `json:"serving"`
	Members []*member `json:"members"`
}

// member is one server. Fields that it did not tell are nil or "".
type member struct {
	Address     string `json:"address"`
	ID          string `json:"id,omitempty"`
	Role        string `json:"role"` // leader, follower, observer, standalone; "not serving", "down"
	Zxid        string `json:"zxid,omitempty"`
	Lag         *int64 `json:"lag,omitempty"`
	Connections *int64 `json:"connections,omitempty"`
	Outstanding *int64 `json:"outstanding,omitempty"`
	Nodes       *int64 `json:"nodes,omitempty"`
	Watches     *int64 `json:"watches,omitempty"`
	Synced      *int64 `json:"syncedFollowers,omitempty"` // the leader's
	Latency     string `json:"latencyMs,omitempty"`       // min/avg/max
	Version     string `json:"version,omitempty"`
	Error       string `json:"error,omitempty"`

	zxid  int64
	peers []string // client addresses of other members, from conf
}

func (m *member) isServing() bool { return m.Error == "" && m.Role != "" && m.Role != notServingRole }

const notServingRole = "not serving"

// inspect asks all servers, and then those that they name, at the same time.
func inspect(ctx context.Context, servers []string, secure *tls.Config) *overview {
	e := &overview{Members: askAll(ctx, servers, secure)}
	var more []string
	for _, m := range e.Members {
		for _, p := range m.peers {
			if !slices.Contains(more, p) && !slices.Contains(servers, p) {
				more = append(more, p)
			}
		}
	}
	for _, m := range askAll(ctx, more, secure) {
		known := slices.ContainsFunc(e.Members, func(x *member) bool { return m.ID != "" && x.ID == m.ID }) // under another name
		if !known {
			e.Members = append(e.Members, m)
		}
	}
	e.compare()
	return e
}

func askAll(ctx context.Context, servers []string, secure *tls.Config) []*member {
	members := make([]*member, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() { members[i] = ask(ctx, s, secure) })
	}
	wg.Wait()
	return members
}

// ask asks one server, with TLS unless secure is nil.
func ask(ctx context.Context, server string, secure *tls.Config) *member {
	m := &member{Address: server}
	word := func(w string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, wordTimeout)
		defer cancel()
		if secure != nil {
			return client.FourLetterWordTLS(ctx, server, w, secure)
		}
		return client.FourLetterWord(ctx, server, w)
	}
	srvr, err := word("srvr")
	switch {
	case err != nil:
		m.Role, m.Error = "down", reason(err)
		return m
	case strings.Contains(srvr, "not currently serving"):
		m.Role = notServingRole
	case srvr == "":
		m.Role, m.Error = notServingRole, "no answer to srvr"
	default:
		m.readSrvr(srvr)
	}
	if mntr, err := word("mntr"); err == nil {
		m.readMntr(mntr)
	}
	if conf, err := word("conf"); err == nil {
		m.readConf(conf)
	}
	return m
}

// reason is what went wrong with a connection, without the address and the wrapping.
func reason(err error) string {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return "no answer"
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// readSrvr reads lines of "Name: value".
func (m *member) readSrvr(text string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Zookeeper version":
			m.Version, _, _ = strings.Cut(value, ",")
			if i := strings.Index(m.Version, "-"); i > 0 && len(m.Version)-i > 40 { // a commit's hash
				m.Version = m.Version[:i]
			}
		case "Latency min/avg/max":
			m.Latency = value
		case "Connections":
			m.Connections = number(value)
		case "Outstanding":
			m.Outstanding = number(value)
		case "Node count":
			m.Nodes = number(value)
		case "Mode":
			m.Role = value
		case "Zxid":
			m.Zxid = value
			if z, err := strconv.ParseInt(strings.TrimPrefix(value, "0x"), 16, 64); err == nil {
				m.zxid = z
			}
		}
	}
}

// readMntr reads lines of "zk_name\tvalue".
func (m *member) readMntr(text string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		switch name {
		case "zk_watch_count":
			m.Watches = number(value)
		case "zk_synced_followers":
			m.Synced = number(value)
		}
	}
}

// readConf reads the server's id and where the others take clients: lines like "server.2=host:2888:3888:participant;host:2181".
func (m *member) readConf(text string) {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		if name == "serverId" && value != "0" {
			m.ID = value
		}
		if !strings.HasPrefix(name, "server.") {
			continue
		}
		quorum, clients, ok := strings.Cut(value, ";")
		if !ok {
			continue
		}
		host, port := "", clients
		if i := strings.LastIndex(clients, ":"); i >= 0 {
			host, port = clients[:i], clients[i+1:]
		}
		if host == "" || host == "0.0.0.0" || host == "[::]" { // any address of the machine that the quorum address names
			host, _, _ = strings.Cut(quorum, ":")
		}
		m.peers = append(m.peers, net.JoinHostPort(strings.Trim(host, "[]"), port))
	}
}

func number(s string) *int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// compare finds the leader and how far the others are behind it.
func (e *overview) compare() {
	var leader *member
	for _, m := range e.Members {
		if m.isServing() {
			e.Serving++
		}
		if m.Role == "leader" || m.Role == "standalone" && len(e.Members) == 1 {
			leader = m
		}
	}
	if leader == nil {
		return
	}
	e.Leader = leader.Address
	for _, m := range e.Members {
		if !m.isServing() || m.Role == "standalone" && m != leader {
			continue
		}
		// ZooKeeper's zxids count within an epoch, kept in the upper half; ours are one count.
		if m.zxid>>32 == leader.zxid>>32 || strings.Contains(leader.Version, "gopherwood") {
			lag := max(0, leader.zxid-m.zxid)
			m.Lag = &lag
		}
	}
}

func (e *overview) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SERVER\tROLE\tZXID\tLAG\tCONNECTIONS\tOUTSTANDING\tNODES\tWATCHES\tLATENCY ms\tVERSION")
	for _, m := range e.Members {
		if m.Error != "" {
			fmt.Fprintf(t, "%s\t%s\t-\t-\t-\t-\t-\t-\t-\t%s\n", m.Address, m.Role, m.Error) // all cells, or the columns break
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Address, m.Role, orDash(m.Zxid), show(m.Lag), show(m.Connections),
			show(m.Outstanding), show(m.Nodes), show(m.Watches), orDash(m.Latency), orDash(m.Version))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, e.summary())
	return err
}

// summary is the ensemble in a sentence.
func (e *overview) summary() string {
	s := fmt.Sprintf("%d of %d serve", e.Serving, len(e.Members))
	for _, m := range e.Members {
		if m.Address != e.Leader {
			continue
		}
		if m.Role == "standalone" {
			return s + ", standalone"
		}
		s += ", leader " + e.Leader
		if m.Synced != nil {
			s += fmt.Sprintf(" with %d synced followers", *m.Synced)
		}
		return s
	}
	if e.Serving > 0 {
		return s + ", the leader is not among those asked"
	}
	return s + ": no quorum"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func show(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}
