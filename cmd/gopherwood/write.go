package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gopherwood/client"
	"gopherwood/zk"
)

func newSetCmd() *cobra.Command {
	s := &shell{}
	var version int32
	cmd := s.command("set PATH DATA", "Replace a node's data", dataHelp, cobra.ExactArgs(2),
		func(cmd *cobra.Command, args []string) (action, error) {
			if err := checkPath(args[0]); err != nil {
				return nil, err
			}
			data, err := readData(args[1], cmd.InOrStdin())
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, c *client.Client) error {
				stat, err := c.Set(ctx, args[0], data, version)
				if err != nil {
					return err
				}
				return s.wrote(cmd.OutOrStdout(), args[0], stat)
			}, nil
		})
	cmd.Flags().Int32Var(&version, "version", client.AnyVersion, "only if the data has this version")
	return cmd
}

// wrote prints the outcome of set and acl set.
func (s *shell) wrote(w io.Writer, path string, stat zk.Stat) error {
	v := struct {
		Path string    `json:"path"`
		Stat *jsonStat `json:"stat"`
	}{path, jsonStatOf(stat)}
	return s.emit(w, v, func(io.Writer) error { return nil })
}

func newCreateCmd() *cobra.Command {
	s := &shell{}
	var f createFlags
	cmd := s.command("create PATH [DATA]", "Create a node and print its path",
		dataHelp+" Without DATA the node has none.\nAn ephemeral node is kept until Ctrl-C.\n"+aclHelp,
		cobra.RangeArgs(1, 2), func(cmd *cobra.Command, args []string) (action, error) { return f.plan(s, cmd, args) })
	f.register(cmd)
	return cmd
}

// createFlags is what kind of node to create.
type createFlags struct {
	ephemeral, sequential, container, parents bool
	ttl                                       time.Duration
	acl                                       string
}

func (f *createFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVarP(&f.ephemeral, "ephemeral", "e", false, "the node goes with this command's session")
	fs.BoolVarP(&f.sequential, "sequential", "s", false, "append the parent's counter to the name")
	fs.BoolVarP(&f.container, "container", "c", false, "the server deletes the node when its last child is gone")
	fs.DurationVarP(&f.ttl, "ttl", "t", 0, "the server deletes the node when it was not changed for so long")
	fs.BoolVarP(&f.parents, "parents", "p", false, "create missing parents; no error if the node exists")
	fs.StringVar(&f.acl, "acl", "", "access control list (default world:anyone:cdrwa)")
}

// options checks the combination of flags.
func (f *createFlags) options() (client.CreateOptions, error) {
	o := client.CreateOptions{TTL: f.ttl}
	kinds := 0
	for _, on := range []bool{f.ephemeral, f.container, f.ttl != 0} {
		if on {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return o, usagef("--ephemeral, --container and --ttl exclude each other")
	case f.container && f.sequential:
		return o, usagef("a container node cannot be sequential")
	case f.ephemeral && f.sequential:
		o.Mode = zk.ModeEphemeralSequential
	case f.ephemeral:
		o.Mode = zk.ModeEphemeral
	case f.container:
		o.Mode = zk.ModeContainer
	case f.ttl != 0 && f.sequential:
		o.Mode = zk.ModeTTLSequential
	case f.ttl != 0:
		o.Mode = zk.ModeTTL
	case f.sequential:
		o.Mode = zk.ModePersistentSequential
	}
	var err error
	if f.acl != "" {
		o.ACL, err = parseACL(f.acl)
	}
	return o, err
}

func (f *createFlags) plan(s *shell, cmd *cobra.Command, args []string) (action, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	validate := checkPath
	if o.Mode.IsSequential() {
		validate = zk.ValidateSequentialPath
	}
	if err := validate(args[0]); err != nil {
		return nil, usageError{err}
	}
	var data []byte
	if len(args) > 1 {
		if data, err = readData(args[1], cmd.InOrStdin()); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, c *client.Client) error {
		if err := f.create(ctx, c, s, cmd.OutOrStdout(), args[0], data, o); err != nil || !f.ephemeral {
			return err
		}
		hold, cancel := until(cmd.Context())
		defer cancel()
		select {
		case <-hold.Done():
			return nil
		case <-c.Done():
			return c.Err()
		}
	}, nil
}

func (f *createFlags) create(ctx context.Context, c *client.Client, s *shell, out io.Writer, path string, data []byte, o client.CreateOptions) error {
	if f.parents {
		if err := createParents(ctx, c, path); err != nil {
			return err
		}
	}
	created, err := c.Create(ctx, path, data, o)
	if f.parents && !o.Mode.IsSequential() && errors.Is(err, zk.ErrNodeExists) {
		created, err = path, nil
	}
	if err != nil {
		return err
	}
	v := struct {
		Path string `json:"path"`
	}{created}
	return s.emit(out, v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, created)
		return err
	})
}

// createParents makes what is missing above path.
func createParents(ctx context.Context, c *client.Client, path string) error {
	for i := range len(path) {
		if i == 0 || path[i] != '/' {
			continue
		}
		if _, err := c.Create(ctx, path[:i], nil, client.CreateOptions{}); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

func newDeleteCmd() *cobra.Command {
	s := &shell{}
	var version int32
	cmd := s.command("delete PATH", "Delete a node without children", "", cobra.ExactArgs(1),
		onPath(func(ctx context.Context, c *client.Client, path string, _ io.Writer) error {
			return c.Delete(ctx, path, version)
		}))
	cmd.Aliases = []string{"rm"}
	cmd.Flags().Int32Var(&version, "version", client.AnyVersion, "only if the data has this version")
	return cmd
}

func newDeleteAllCmd() *cobra.Command {
	s := &shell{}
	cmd := s.command("deleteall PATH", "Delete a node and everything below it",
		"Not atomic: other clients see it happen, and a failure leaves the rest. Refuses / and /zookeeper.", cobra.ExactArgs(1),
		onPath(func(ctx context.Context, c *client.Client, root string, out io.Writer) error {
			if root == zk.Root || root == "/zookeeper" || strings.HasPrefix(root, "/zookeeper/") {
				return usagef("deleteall %s: refused; name a node of yours", root)
			}
			n, err := deleteAll(ctx, c, root)
			if err != nil {
				return err
			}
			v := struct {
				Path    string `json:"path"`
				Deleted int    `json:"deleted"`
			}{root, n}
			return s.emit(out, v, func(io.Writer) error { return nil })
		}))
	cmd.Aliases = []string{"rmr"}
	return cmd
}

// deleteAll deletes a subtree, deepest first, many requests in flight. It does it again if nodes were added meanwhile.
func deleteAll(ctx context.Context, c *client.Client, root string) (deleted int, err error) {
	const rounds, window = 3, 1000
	for range rounds {
		var paths []string // parents before children
		if err = walkStats(ctx, c, root, func(path string, _ zk.Stat) { paths = append(paths, path) }); err != nil {
			return deleted, err
		}
		again := false
		for len(paths) > 0 {
			p := c.Pipeline()
			from := max(0, len(paths)-window)
			var calls []*client.Pending[struct{}]
			for i := len(paths) - 1; i >= from; i-- {
				calls = append(calls, p.Delete(ctx, paths[i], client.AnyVersion))
			}
			paths = paths[:from]
			for _, k := range calls {
				switch _, err = k.Wait(ctx); {
				case err == nil:
					deleted++
				case errors.Is(err, zk.ErrNoNode):
				case errors.Is(err, zk.ErrNotEmpty):
					again = true
				default:
					return deleted, err
				}
			}
		}
		if !again {
			return deleted, nil
		}
	}
	return deleted, err
}

func newSyncCmd() *cobra.Command {
	s := &shell{}
	return s.command("sync [PATH]", "Wait until the server has caught up with all that is committed", "", cobra.MaximumNArgs(1),
		onPath(func(ctx context.Context, c *client.Client, path string, _ io.Writer) error { return c.Sync(ctx, path) }))
}

func newACLCmd() *cobra.Command {
	parent := &cobra.Command{
		Use:   "acl",
		Short: "Print or replace a node's access control list",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	get := &shell{}
	parent.AddCommand(get.command("get PATH", "Print a node's ACL", aclHelp, cobra.ExactArgs(1),
		onPath(func(ctx context.Context, c *client.Client, path string, out io.Writer) error {
			list, stat, err := c.ACL(ctx, path)
			if err != nil {
				return err
			}
			type entry struct {
				Scheme string `json:"scheme"`
				ID     string `json:"id"`
				Perms  string `json:"perms"`
			}
			entries := []entry{}
			for _, a := range list {
				entries = append(entries, entry{a.ID.Scheme, a.ID.ID, permText(a.Perms)})
			}
			v := struct {
				Path     string  `json:"path"`
				ACL      []entry `json:"acl"`
				Aversion int32   `json:"aversion"`
			}{path, entries, stat.Aversion}
			return get.emit(out, v, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, strings.ReplaceAll(aclText(list), ",", "\n"))
				return err
			})
		})))
	set := &shell{}
	var version int32
	setCmd := set.command("set PATH ACL", "Replace a node's ACL", aclHelp, cobra.ExactArgs(2),
		func(cmd *cobra.Command, args []string) (action, error) {
			list, err := parseACL(args[1])
			if err == nil {
				err = checkPath(args[0])
			}
			return func(ctx context.Context, c *client.Client) error {
				stat, err := c.SetACL(ctx, args[0], list, version)
				if err != nil {
					return err
				}
				return set.wrote(cmd.OutOrStdout(), args[0], stat)
			}, err
		})
	setCmd.Flags().Int32Var(&version, "version", client.AnyVersion, "only if the ACL has this version")
	parent.AddCommand(setCmd)
	return parent
}
