package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"gopherwood/client"
	"gopherwood/zk"
)

func newGetCmd() *cobra.Command {
	s := &shell{}
	var sync bool
	cmd := s.command("get PATH", "Print a node's data",
		"The bytes are printed as they are; on a terminal a newline follows. With --sync the server first catches up with all that\nwas committed before.",
		cobra.ExactArgs(1), onPath(func(ctx context.Context, c *client.Client, path string, out io.Writer) error {
			if sync {
				if err := c.Sync(ctx, path); err != nil {
					return err
				}
			}
			data, stat, err := c.Get(ctx, path)
			if err != nil {
				return err
			}
			v := struct {
				Path string `json:"path"`
				jsonData
				Stat *jsonStat `json:"stat"`
			}{path, jsonDataOf(data), jsonStatOf(stat)}
			return s.emit(out, v, func(w io.Writer) error {
				if isTerminal(w) {
					data = append(slices.Clip(data), '\n')
				}
				_, err := w.Write(data)
				return err
			})
		}))
	cmd.Flags().BoolVar(&sync, "sync", false, "read what is committed, not what this server has heard of")
	return cmd
}

func newStatCmd() *cobra.Command {
	s := &shell{}
	return s.command("stat PATH", "Print a node's metadata", "", cobra.ExactArgs(1),
		onPath(func(ctx context.Context, c *client.Client, path string, out io.Writer) error {
			stat, ok, err := c.Exists(ctx, path)
			if err == nil && !ok {
				err = &client.Error{Op: "stat", Path: path, Cause: zk.ErrNoNode}
			}
			if err != nil {
				return err
			}
			v := struct {
				Path string `json:"path"`
				*jsonStat
			}{path, jsonStatOf(stat)}
			return s.emit(out, v, func(w io.Writer) error { return writeStat(w, stat) })
		}))
}

func newLsCmd() *cobra.Command {
	s := &shell{}
	var recursive, long bool
	cmd := s.command("ls [PATH]", "List a node's children",
		"Names are sorted, one a line. With -R the full paths of the node and all below it. PATH is / if it is left out.",
		cobra.MaximumNArgs(1), onPath(func(ctx context.Context, c *client.Client, path string, out io.Writer) error {
			names, err := listing(ctx, c, path, recursive)
			if err != nil && len(names) == 0 {
				return err
			}
			if long {
				return errors.Join(s.long(ctx, c, out, path, names, recursive), err)
			}
			v := struct {
				Path     string   `json:"path"`
				Children []string `json:"children"`
			}{path, append([]string{}, names...)}
			return errors.Join(s.emit(out, v, func(w io.Writer) error {
				for _, n := range names {
					if _, err := fmt.Fprintln(w, n); err != nil {
						return err
					}
				}
				return nil
			}), err)
		}))
	cmd.Flags().BoolVarP(&recursive, "recursive", "R", false, "list everything below as full paths")
	cmd.Flags().BoolVarP(&long, "long", "l", false, "with version, length, number of children, time of change and owner")
	return cmd
}

func listing(ctx context.Context, c *client.Client, path string, recursive bool) ([]string, error) {
	if recursive {
		return walk(ctx, c, path)
	}
	names, _, err := c.Children(ctx, path)
	slices.Sort(names)
	return names, err
}

// long prints a line with metadata for each name.
func (s *shell) long(ctx context.Context, c *client.Client, w io.Writer, parent string, names []string, full bool) error {
	type entry struct {
		Name string    `json:"name"`
		Stat *jsonStat `json:"stat"`
	}
	entries := []entry{}
	for _, n := range names {
		path := n
		if !full {
			path = zk.Join(parent, n)
		}
		stat, ok, err := c.Exists(ctx, path)
		if err != nil {
			return err
		}
		if ok { // or it went meanwhile
			entries = append(entries, entry{n, jsonStatOf(stat)})
		}
	}
	return s.emit(w, struct {
		Path     string  `json:"path"`
		Children []entry `json:"children"`
	}{parent, entries}, func(w io.Writer) error {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "VERSION\tBYTES\tCHILDREN\tCHANGED\tOWNER\tNAME")
		for _, e := range entries {
			owner := "-"
			if e.Stat.EphemeralOwner != "0x0" {
				owner = e.Stat.EphemeralOwner
			}
			fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\n", e.Stat.Version, e.Stat.DataLength, e.Stat.NumChildren, e.Stat.Mtime, owner, e.Name)
		}
		return t.Flush()
	})
}

func newWhoAmICmd() *cobra.Command {
	s := &shell{}
	return s.command("whoami", "Print the identities that the server sees", "Use --auth to prove more.", cobra.NoArgs,
		onPath(func(ctx context.Context, c *client.Client, _ string, w io.Writer) error {
			ids, err := c.WhoAmI(ctx)
			if err != nil {
				return err
			}
			type identity struct {
				Scheme string `json:"scheme"`
				ID     string `json:"id"`
			}
			out := []identity{}
			for _, id := range ids {
				out = append(out, identity(id))
			}
			return s.emit(w, out, func(w io.Writer) error {
				for _, id := range out {
					if _, err := fmt.Fprintf(w, "%s:%s\n", id.Scheme, id.ID); err != nil {
						return err
					}
				}
				return nil
			})
		}))
}

func newEphemeralsCmd() *cobra.Command {
	s := &shell{}
	return s.command("ephemerals [PATH]", "List the ephemeral nodes below a node, of all sessions",
		"Reads every node below PATH, which is / if it is left out, and passes over what it may not read (code 5 in the end).", cobra.MaximumNArgs(1),
		onPath(func(ctx context.Context, c *client.Client, path string, out io.Writer) error {
			type ephemeral struct {
				Path  string `json:"path"`
				Owner string `json:"owner"`
			}
			found := []ephemeral{}
			err := walkStats(ctx, c, path, func(path string, stat zk.Stat) {
				if stat.EphemeralOwner != 0 {
					found = append(found, ephemeral{path, hex(stat.EphemeralOwner)})
				}
			})
			if err != nil && !errors.Is(err, zk.ErrNoAuth) {
				return err
			}
			return errors.Join(s.emit(out, found, func(w io.Writer) error {
				for _, e := range found {
					if _, err := fmt.Fprintf(w, "%s\t%s\n", e.Path, e.Owner); err != nil {
						return err
					}
				}
				return nil
			}), err)
		}))
}
