package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/client"
	"gopherwood/zk"
)

func newWatchCmd() *cobra.Command {
	s := &shell{}
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch PATH",
		Short: "Print what happens to a node, until Ctrl-C",
		Long: "Print what happens to a node, until Ctrl-C.\n\nOne event a line; the node need not exist. Events go on when the client moves to another server; a line \"Reconnected\" then" +
			"\nsays that some may have been missed. Needs a server of 3.6 or later.\n\n" + exitCodesHelp,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(s, cmd, args[0]) },
	}
	s.flags(cmd)
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "everything below the node, too; changes of data, creation and deletion only")
	cmd.Flags().BoolVarP(&f.data, "data", "d", false, "print the data after each change")
	cmd.Flags().IntVarP(&f.count, "count", "n", 0, "end after so many events")
	return cmd
}

// watchBuffer is how many events may wait to be printed: bursts are long, terminals are slow.
const watchBuffer = 1 << 16

type watchFlags struct {
	recursive, data bool
	count           int
}

func (f *watchFlags) run(s *shell, cmd *cobra.Command, path string) error {
	if err := checkPath(path); err != nil {
		return err
	}
	ctx, cancel := until(cmd.Context())
	defer cancel()
	err := f.follow(ctx, s, cmd, path)
	if ctx.Err() != nil { // told to stop, at whatever moment
		return nil
	}
	return err
}

func (f *watchFlags) follow(ctx context.Context, s *shell, cmd *cobra.Command, path string) error {
	first, cancelFirst := context.WithTimeout(ctx, s.timeout)
	defer cancelFirst()
	c, err := s.connect(first, client.Options{
		WatchBuffer: watchBuffer,
		OnState:     func(change client.StateChange) { reportState(cmd.ErrOrStderr(), change) },
	})
	if err != nil {
		return err
	}
	defer c.Close()
	mode := zk.AddWatchPersistent
	if f.recursive {
		mode = zk.AddWatchPersistentRecursive
	}
	w, err := c.AddWatch(first, path, mode)
	if err != nil {
		return err
	}
	for seen := 0; f.count == 0 || seen < f.count; seen++ {
		select {
		case e, ok := <-w.Events():
			if !ok {
				return w.Err()
			}
			if err := f.print(ctx, s, c, cmd.OutOrStdout(), e); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// reportState tells the person at the terminal about the connection; scripts find it on standard error.
func reportState(w io.Writer, s client.StateChange) {
	switch s.State {
	case zk.StateDisconnected:
		fmt.Fprintf(w, "lost the connection to %s: %v\n", s.Server, explain(s.Err))
	case zk.StateSyncConnected:
		if isTerminal(w) {
			fmt.Fprintf(w, "connected to %s\n", s.Server)
		}
	}
}

// print prints one event, with the data as it is now if asked for.
func (f *watchFlags) print(ctx context.Context, s *shell, c *client.Client, out io.Writer, e client.Event) error {
	v := struct {
		Time string `json:"time"`
		Type string `json:"type"`
		Path string `json:"path"`
		Zxid string `json:"zxid,omitempty"`
		jsonData
	}{Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Type: eventNames[e.Type], Path: e.Path}
	if e.Zxid != 0 {
		v.Zxid = hex(e.Zxid)
	}
	if f.data && e.Type != zk.EventNodeDeleted {
		data, _, err := c.Get(ctx, e.Path)
		if err != nil && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
		v.jsonData = jsonDataOf(data)
	}
	return s.emit(out, v, func(w io.Writer) error {
		line := fmt.Sprintf("%s %s %s", v.Time, v.Type, v.Path)
		switch {
		case v.Data != nil:
			line += " " + fmt.Sprintf("%q", *v.Data)
		case v.DataBase64 != nil:
			line += " base64:" + *v.DataBase64
		}
		_, err := fmt.Fprintln(w, line)
		return err
	})
}
