package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/replica"
)

// maxShownBytes bounds a command's bytes in a line.
const maxShownBytes = 60

func (c *cluster) logDump() *cobra.Command {
	var from uint64
	var count int
	cmd := c.command("dump", "Print a part of a member's log", "Of the first member that is asked: an entry a line, and its commands below. What is before the last snapshot may be gone.", cobra.NoArgs,
		func(ctx context.Context, cmd *cobra.Command, _ []string) error {
			if count < 1 || count > replica.MaxLogEntries {
				return usagef("-n must be from 1 to %d", replica.MaxLogEntries)
			}
			clients, err := c.clients()
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("from") { // the end of it
				s, err := clients[0].Status(ctx)
				if err != nil {
					return err
				}
				from = s.Last - min(s.Last, uint64(count)-1)
			}
			part, err := clients[0].Log(ctx, from, count)
			if err != nil {
				return err
			}
			return c.emit(cmd, part, func(w io.Writer) error { return writeLog(w, part) })
		})
	cmd.Flags().Uint64Var(&from, "from", 0, "index of the first entry; default: so that the last one is shown")
	cmd.Flags().IntVarP(&count, "count", "n", 20, "how many entries")
	return cmd
}

func writeLog(w io.Writer, part *replica.Log) error {
	for _, e := range part.Entries {
		what := e.Members
		if e.TimeMs != 0 {
			what = time.UnixMilli(e.TimeMs).UTC().Format("2006-01-02 15:04:05.000")
		}
		if _, err := fmt.Fprintf(w, "%d  term %d  %s  %d bytes  %s\n", e.Index, e.Term, e.Kind, e.Bytes, what); err != nil {
			return err
		}
		for _, cmd := range e.Commands {
			shown, more := cmd.Data, ""
			if len(shown) > maxShownBytes {
				shown, more = shown[:maxShownBytes], " …"
			}
			if _, err := fmt.Fprintf(w, "    server %d, number %d: %s%s (%d bytes)\n", cmd.Origin>>48, cmd.Number, strconv.Quote(string(shown)), more, len(cmd.Data)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "the log has the entries from %d to %d\n", part.First, part.Last)
	return err
}
