package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/replica/admin"
)

// errUnhealthy is the outcome of doctor when something is wrong.
var errUnhealthy = errors.New("something is wrong with the ensemble")

const (
	// maxHealthyLag is how many entries a member may be behind: some seconds of heavy load.
	maxHealthyLag = 10_000
	// maxClockSkew is how far a server's clock may be from this machine's.
	maxClockSkew = 2 * time.Second
	// maxHealthyLog is how much log there may be since a snapshot: much more than what makes one.
	maxHealthyLog = 4 << 30
)

// finding is what doctor has to say about something.
type finding struct {
	Level  string `json:"level"`            // "error" or "warning"
	Server uint16 `json:"server,omitempty"` // 0: the ensemble
	What   string `json:"what"`
	Do     string `json:"do"` // what to do about it
}

// checkup is doctor's report.
type checkup struct {
	Healthy  bool        `json:"healthy"`
	Findings []finding   `json:"findings"`
	Asked    []*answered `json:"asked"`
}

func (c *checkup) add(level string, server uint16, do, what string, args ...any) {
	c.Findings = append(c.Findings, finding{Level: level, Server: server, What: fmt.Sprintf(what, args...), Do: do})
}

func (c *cluster) doctor() *cobra.Command {
	return c.command("doctor", "Look for what is wrong, and say what to do about it", "Give the admin ports of all members. Warnings alone leave the exit code 0.", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			all, err := c.askEach(ctx)
			if err != nil {
				return err
			}
			report := examine(all, time.Now())
			if err := c.emit(cmd, report, report.writeText); err != nil {
				return err
			}
			if !report.Healthy {
				return errUnhealthy
			}
			return nil
		})
}

// examine looks at what the members said at now.
func examine(all []*answered, now time.Time) *checkup {
	c := &checkup{Asked: all, Findings: []finding{}}
	leaders := map[uint64][]uint16{}
	terms := map[string]bool{}
	for _, a := range all {
		if a.err != nil {
			c.add("error", 0, "start it, or correct --admin", "%s does not answer: %s", a.Addr, a.Error)
			continue
		}
		s := a.Status
		c.member(s, now)
		if s.Leads {
			leaders[s.Term] = append(leaders[s.Term], s.Server)
		}
		if s.Ensemble != "" {
			terms[s.Ensemble] = true
		}
	}
	for term, who := range leaders {
		if len(who) > 1 {
			c.add("error", 0, "stop them all and report this: it must not happen", "servers %d lead in the same term, %d", who, term)
		}
	}
	if len(terms) > 1 {
		c.add("error", 0, "name the members of one ensemble in --admin, or start the odd ones with empty directories", "the members belong to %d different ensembles", len(terms))
	}
	if a, err := best(all); err == nil {
		c.ensemble(a.Status)
	}
	c.Healthy = !slices.ContainsFunc(c.Findings, func(f finding) bool { return f.Level == "error" })
	return c
}

// member looks at what a member says of itself.
func (c *checkup) member(s *admin.Status, now time.Time) {
	switch {
	case s.Stopped != "":
		c.add("error", s.Server, "read its log, put the cause right, and start it again", "it has stopped: %s", s.Stopped)
	case s.Forming != "":
		c.add("error", s.Server, "start the servers that it waits for, or correct its list", "it looks for its ensemble: %s", s.Forming)
	case s.Leader == 0:
		c.add("error", s.Server, "see that a majority of the voters runs and can be reached", "it knows no leader")
	}
	if s.DiskFull {
		c.add("error", s.Server, "free space on its data directory's filesystem", "its disk is full, writes wait")
	}
	if s.SnapshotError != "" {
		c.add("error", s.Server, "put the cause right: its log grows until it can write one", "its last snapshot failed: %s", s.SnapshotError)
	}
	if s.Phase != "running" && s.Forming == "" {
		c.add("warning", s.Server, fmt.Sprintf("wait, about %.0f seconds more", s.LeftSeconds), "it is %s, %d of %d", s.Phase, s.Done, s.Total)
	}
	if s.LogBytes > maxHealthyLog {
		c.add("warning", s.Server, "have it write a snapshot: gopherwood cluster snapshot", "its log since the last snapshot has %d MiB", s.LogBytes>>20)
	}
	if skew := now.Sub(time.UnixMilli(s.ClockMs)).Abs(); skew > maxClockSkew {
		c.add("warning", s.Server, "set the clocks, by NTP for example: time stamps follow the leader's", "its clock is off by %v from this machine's", skew.Round(time.Millisecond))
	}
}

// ensemble looks at the members through the eyes of one of them.
func (c *checkup) ensemble(s *admin.Status) {
	voters, there := 0, 0
	for _, m := range s.Members {
		connected := m.Connected || m.Server == s.Server
		if m.Kind == "voter" {
			voters++
			if connected {
				there++
			}
		}
		switch lag := s.Last - min(s.Last, m.Match); {
		case !connected && m.Kind != "guest":
			c.add("error", m.Server, "start it, or remove it: gopherwood cluster remove", "server %d, which leads or was asked, is not connected with this %s", s.Server, m.Kind)
		case s.Leads && lag > maxHealthyLag:
			c.add("warning", m.Server, "wait, or see what keeps its disk or network busy", "it is %d entries behind the leader", lag)
		}
	}
	switch {
	case voters > 0 && there <= voters/2:
		c.add("error", 0, "start the others: nothing can be written", "%d of %d voters are connected, which is no majority", there, voters)
	case voters > 1 && there == voters/2+1 && there < voters:
		c.add("warning", 0, "start the others soon", "%d of %d voters are connected: the loss of one more stops all writes", there, voters)
	}
	if voters > 1 && voters%2 == 0 {
		c.add("warning", 0, "add or remove one", "%d voters stand the loss of no more than %d would", voters, voters-1)
	}
	if s.Joint {
		c.add("warning", 0, "wait; keep the disks of all members until it is over", "one set of voters is taking over from another")
	}
}

func (c *checkup) writeText(w io.Writer) error {
	for _, f := range c.Findings {
		who := "ensemble"
		if f.Server != 0 {
			who = fmt.Sprintf("server %d", f.Server)
		}
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n    %s\n", f.Level, who, f.What, f.Do); err != nil {
			return err
		}
	}
	verdict := "healthy"
	if !c.Healthy {
		verdict = "not healthy"
	}
	_, err := fmt.Fprintf(w, "%s: %d asked, %d findings\n", verdict, len(c.Asked), len(c.Findings))
	return err
}
