package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/replica"
	"gopherwood/replica/admin"
)

const (
	adminVariable = "GOPHERWOOD_ADMIN"
	// clusterTimeout is for what may have to wait for an election, or for a snapshot.
	clusterTimeout = 30 * time.Second
	// addWait is for a server that was started a moment ago.
	addWait = 10 * time.Second
)

const clusterHelp = `Works against every service that embeds package replica and mounts its admin endpoint: a Gopherwood server (its admin port), fsmaster, kv, yours.
--admin names one or more members; what only the leader does is asked of each until the leader is found.

Exit codes: 0 done, 1 any other failure, 2 wrong usage, 5 not allowed, 8 no answer, 9 none of those asked leads, 10 refused as things stand,
11 (doctor) something is wrong.`

// cluster is the flags that all cluster commands have.
type cluster struct {
	addrs   string
	auth    string
	json    bool
	timeout time.Duration
	wait    time.Duration // add, promote: for the server to be up to date
}

func newClusterCmd() *cobra.Command {
	c := &cluster{}
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Look after the members of a replicated service: this one, or any other that embeds replica",
		Long:  "Look after the members of a replicated service.\n\n" + clusterHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command cluster %q; gopherwood cluster --help lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	log := &cobra.Command{Use: "log", Short: "Look into the replicated log", RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	log.AddCommand(c.logDump())
	cmd.AddCommand(c.members(), c.add(), c.promote(), c.remove(), c.transfer(), c.snapshot(), c.backup(), newRestoreCmd(), c.doctor(), log)
	return cmd
}

// command makes a cluster command.
func (c *cluster) command(use, short, long string, args cobra.PositionalArgs, run func(ctx context.Context, cmd *cobra.Command, args []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: strings.TrimSpace(short+".\n\n"+long) + "\n\n" + clusterHelp, Args: usageArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := until(cmd.Context())
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, c.timeout)
			defer cancel()
			return run(ctx, cmd, args)
		},
	}
	addr := os.Getenv(adminVariable)
	if addr == "" {
		addr = defaultAdmin
	}
	f := cmd.Flags()
	f.StringVar(&c.addrs, "admin", addr, "admin ports of members, as host:port,host:port; default from "+adminVariable)
	f.StringVar(&c.auth, "auth", "", "identity to prove, as scheme:credentials (digest:user:password); not needed on the server's own machine")
	f.BoolVar(&c.json, "json", false, "print JSON")
	f.DurationVar(&c.timeout, "timeout", clusterTimeout, "how long to wait in all")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}

// clients are those of --admin.
func (c *cluster) clients() ([]*admin.Client, error) {
	authorization := "ip self" // as much as is known without credentials
	if c.auth != "" {
		scheme, secret, ok := strings.Cut(c.auth, ":")
		if !ok || scheme == "" {
			return nil, usagef("--auth must be scheme:credentials, as in digest:user:password")
		}
		authorization = scheme + " " + secret
	}
	var all []*admin.Client
	for addr := range strings.SplitSeq(c.addrs, ",") {
		if addr = strings.TrimSpace(addr); addr == "" {
			return nil, usagef("--admin must be host:port,host:port")
		}
		all = append(all, &admin.Client{Addr: addr, Authorization: authorization})
	}
	return all, nil
}

// answered is a member that was asked for its status.
type answered struct {
	Addr   string        `json:"admin"`
	Status *admin.Status `json:"status,omitempty"`
	Error  string        `json:"error,omitempty"`
	client *admin.Client
	err    error
}

// askEach asks all members for their status, at the same time.
func (c *cluster) askEach(ctx context.Context) ([]*answered, error) {
	clients, err := c.clients()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wordTimeout)
	defer cancel()
	all := make([]*answered, len(clients))
	var wg sync.WaitGroup
	for i, cl := range clients {
		wg.Go(func() {
			a := &answered{Addr: cl.Addr, client: cl}
			if a.Status, a.err = cl.Status(ctx); a.err != nil {
				a.Status, a.Error = nil, explain(a.err)
			}
			all[i] = a
		})
	}
	wg.Wait()
	return all, nil
}

// best is the leader's answer, or else anybody's, and the error if there is none.
func best(all []*answered) (*answered, error) {
	var one *answered
	var first error
	for _, a := range all {
		switch {
		case a.err != nil:
			first = errors.Join(first, a.err)
		case a.Status.Leads:
			return a, nil
		case one == nil:
			one = a
		}
	}
	if one == nil {
		return nil, first
	}
	return one, nil
}

// onLeader asks the members one after the other until one has done it, or refuses for another reason than that it does not lead.
func (c *cluster) onLeader(ctx context.Context, do func(ctx context.Context, cl *admin.Client) (*admin.Status, error)) (*admin.Status, error) {
	clients, err := c.clients()
	if err != nil {
		return nil, err
	}
	var refusal *admin.Error
	var failed error
	for {
		for _, cl := range clients {
			s, err := do(ctx, cl)
			var e *admin.Error
			switch {
			case err == nil:
				return s, nil
			case errors.As(err, &e) && e.NotLeader():
				refusal = e
			case errors.As(err, &e):
				return nil, err
			default:
				failed = err
			}
		}
		switch {
		case refusal == nil:
			return nil, failed
		case refusal.Leader != 0:
			return nil, &admin.Error{Status: refusal.Status, Text: fmt.Sprintf("server %d leads, and is not among those asked (%s); add its admin port to --admin", refusal.Leader, c.addrs)}
		}
		select { // there is no leader at the moment
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, refusal
		}
	}
}

// adminExitCode is the exit code for what a member refuses.
func adminExitCode(e *admin.Error) int {
	switch e.Status {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusForbidden, http.StatusUnauthorized:
		return exitNoAuth
	case http.StatusMisdirectedRequest:
		return exitNotLeader
	case http.StatusConflict:
		return exitRefused
	case http.StatusServiceUnavailable:
		return exitNoServer
	}
	return exitOther
}

// emit prints JSON if asked to, or else text.
func (c *cluster) emit(cmd *cobra.Command, v any, text func(w io.Writer) error) error {
	s := shell{json: c.json}
	return s.emit(cmd.OutOrStdout(), v, text)
}

func serverArg(text string) (uint16, error) {
	id, err := strconv.ParseUint(text, 10, 16)
	if err != nil || id == 0 {
		return 0, usagef("%q is no server's number, 1 to 65535", text)
	}
	return uint16(id), nil
}

func (c *cluster) members() *cobra.Command {
	return c.command("members", "Show the members and how far each is", "The leader knows how far the others are; ask it, or name it among others.", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			all, err := c.askEach(ctx)
			if err != nil {
				return err
			}
			a, err := best(all)
			if err != nil {
				return err
			}
			return c.emit(cmd, a.Status, func(w io.Writer) error { return writeMembers(w, a.Status) })
		})
}

func writeMembers(w io.Writer, s *admin.Status) error {
	if s.Forming != "" {
		_, err := fmt.Fprintf(w, "server %d looks for its ensemble: %s\n", s.Server, s.Forming)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "SERVER\tKIND\tROLE\tSTATE\tLAG\tADDRESS")
	for _, m := range s.Members {
		role, state, lag := "follower", "away", "-"
		switch {
		case m.Server == s.Leader:
			role = "leader"
		case m.Kind != "voter":
			role = "learner"
		}
		if m.Connected || m.Active {
			state = "connected"
		}
		if s.Leads {
			lag = strconv.FormatUint(s.Last-min(s.Last, m.Match), 10)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", m.Server, m.Kind, role, state, lag, orDash(m.PeerAddr))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "as server %d sees it: term %d, applied %d of %d, snapshot at %d, %s (%s)\n", s.Server, s.Term, s.Applied, s.Last, s.Snapshot, s.Phase, s.Machine)
	return err
}

// changed prints the members after a change.
func (c *cluster) changed(cmd *cobra.Command, s *admin.Status, err error) error {
	if err != nil {
		return err
	}
	return c.emit(cmd, s, func(w io.Writer) error { return writeMembers(w, s) })
}

func (c *cluster) add() *cobra.Command {
	observer := false
	cmd := c.command("add ID", "Make a server that follows as a guest a voter, or an observer",
		"Start the server first, with an empty directory and the present members in its list of servers: it follows as a guest until it is added.", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string) error {
			return c.addServer(ctx, cmd, args[0], observer)
		})
	cmd.Flags().BoolVar(&observer, "observer", false, "it does not vote")
	c.waitFlag(cmd)
	return cmd
}

func (c *cluster) promote() *cobra.Command {
	cmd := c.command("promote ID", "Make an observer or a guest a voter", "It has to be connected and up to date.", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string) error {
			return c.addServer(ctx, cmd, args[0], false)
		})
	c.waitFlag(cmd)
	return cmd
}

func (c *cluster) waitFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&c.wait, "wait", addWait, "how long to wait for the server to be up to date")
}

func (c *cluster) addServer(ctx context.Context, cmd *cobra.Command, arg string, observer bool) error {
	id, err := serverArg(arg)
	if err != nil {
		return err
	}
	late := time.Now().Add(c.wait)
	for {
		s, err := c.onLeader(ctx, func(ctx context.Context, cl *admin.Client) (*admin.Status, error) { return cl.Add(ctx, id, observer) })
		var e *admin.Error
		if !errors.As(err, &e) || e.Status != http.StatusConflict || time.Now().After(late) {
			return c.changed(cmd, s, err)
		}
		select { // it may be about to catch up, or another change about to be over
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func (c *cluster) remove() *cobra.Command {
	return c.command("remove ID", "Take a server out of the ensemble", "A server that runs follows as a guest afterwards; stop it.", cobra.ExactArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string) error {
			id, err := serverArg(args[0])
			if err != nil {
				return err
			}
			s, err := c.onLeader(ctx, func(ctx context.Context, cl *admin.Client) (*admin.Status, error) { return cl.Remove(ctx, id) })
			return c.changed(cmd, s, err)
		})
}

func (c *cluster) transfer() *cobra.Command {
	return c.command("transfer [ID]", "Hand leadership over, to a server or to whoever is furthest", "", cobra.MaximumNArgs(1),
		func(ctx context.Context, cmd *cobra.Command, args []string) error {
			to := uint16(0)
			if len(args) > 0 {
				var err error
				if to, err = serverArg(args[0]); err != nil {
					return err
				}
			}
			s, err := c.onLeader(ctx, func(ctx context.Context, cl *admin.Client) (*admin.Status, error) {
				if s, err := cl.Status(ctx); to != 0 && err == nil && s.Leads && s.Server == to {
					return s, nil
				}
				return cl.Transfer(ctx, to)
			})
			return c.changed(cmd, s, err)
		})
}

func (c *cluster) snapshot() *cobra.Command {
	return c.command("snapshot", "Have the members that are asked write a snapshot now", "", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			clients, err := c.clients()
			if err != nil {
				return err
			}
			for _, cl := range clients {
				s, err := cl.Snapshot(ctx)
				if err == nil {
					err = c.emit(cmd, s, func(w io.Writer) error {
						_, err := fmt.Fprintf(w, "server %d has a snapshot at %d\n", s.Server, s.Snapshot)
						return err
					})
				}
				if err != nil {
					return fmt.Errorf("%s: %w", cl.Addr, err)
				}
			}
			return nil
		})
}

func (c *cluster) backup() *cobra.Command {
	return c.command("backup FILE", "Write a backup of the state to a file", "It is made by a follower if one is among those asked, and nobody waits for it. The file is verified as it arrives, and has its name only when it is whole.",
		cobra.ExactArgs(1), func(ctx context.Context, cmd *cobra.Command, args []string) error {
			all, err := c.askEach(ctx)
			if err != nil {
				return err
			}
			from, err := best(all)
			if err != nil {
				return err
			}
			for _, a := range all {
				if a.err == nil && a.Status.Role == "follower" {
					from = a
				}
			}
			info, err := writeBackup(ctx, from.client, args[0])
			if err != nil {
				return err
			}
			return c.emit(cmd, info, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s holds the state of %s at index %d, from server %d, %d bytes\n", args[0], info.Machine, info.Index, info.Server, info.Size)
				return err
			})
		})
}

// writeBackup writes to another name first.
func writeBackup(ctx context.Context, cl *admin.Client, name string) (replica.BackupInfo, error) {
	f, err := os.OpenFile(name+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return replica.BackupInfo{}, usageError{err}
	}
	info, err := cl.Backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return info, errors.Join(err, os.Remove(f.Name()))
	}
	return info, nil
}
