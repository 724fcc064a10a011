package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gopherwood/client"
	"gopherwood/zk"
)

func newMultiCmd() *cobra.Command {
	s := &shell{}
	return s.command("multi OPERATION…", "Carry out several writes together or not at all",
		`Each argument is one operation; "-" reads them from standard input and "@file" from a file, one a line, # starts a comment:
create PATH [DATA]   set PATH DATA [VERSION]   delete PATH [VERSION]   check PATH [VERSION]
DATA with spaces stands in double quotes, with Go's escapes. The paths of created nodes are printed.`,
		cobra.MinimumNArgs(1), func(cmd *cobra.Command, args []string) (action, error) {
			var txn client.Txn
			for _, arg := range args {
				if err := parseTxn(&txn, arg, cmd.InOrStdin()); err != nil {
					return nil, err
				}
			}
			return func(ctx context.Context, c *client.Client) error {
				results, err := c.Multi(ctx, &txn)
				if err != nil {
					return err
				}
				return s.results(cmd.OutOrStdout(), results)
			}, nil
		})
}

// results prints what a transaction did.
func (s *shell) results(out io.Writer, results []client.TxnResult) error {
	type result struct {
		Path string    `json:"path,omitempty"`
		Stat *jsonStat `json:"stat,omitempty"`
	}
	list := []result{}
	for _, r := range results {
		o := result{Path: r.Path}
		if r.Stat != (zk.Stat{}) {
			o.Stat = jsonStatOf(r.Stat)
		}
		list = append(list, o)
	}
	return s.emit(out, list, func(w io.Writer) error {
		for _, r := range list {
			if r.Path == "" {
				continue
			}
			if _, err := fmt.Fprintln(w, r.Path); err != nil {
				return err
			}
		}
		return nil
	})
}

// parseTxn appends the operations of one argument.
func parseTxn(txn *client.Txn, arg string, stdin io.Reader) error {
	if arg != "-" && !strings.HasPrefix(arg, "@") {
		return parseOp(txn, arg)
	}
	text, err := readData(arg, stdin)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := parseOp(txn, line); err != nil {
			return err
		}
	}
	return nil
}

func parseOp(txn *client.Txn, line string) error {
	words, err := splitWords(line)
	if err != nil || len(words) < 2 {
		return usagef("operation %q: must be create, set, delete or check, a path and what belongs to it", line)
	}
	name, path, rest := words[0], words[1], words[2:]
	if err := checkPath(path); err != nil {
		return err
	}
	if name == "set" && len(rest) == 0 {
		return usagef("operation %q: no data", line)
	}
	var data []byte
	if (name == "set" || name == "create") && len(rest) > 0 {
		data, rest = []byte(rest[0]), rest[1:]
	}
	version := client.AnyVersion
	if name != "create" && len(rest) > 0 {
		v, err := strconv.ParseInt(rest[0], 10, 32)
		if err != nil {
			return usagef("operation %q: version %q is not a number", line, rest[0])
		}
		version, rest = int32(v), rest[1:]
	}
	if len(rest) > 0 {
		return usagef("operation %q: %q is too much", line, rest[0])
	}
	switch name {
	case "create":
		txn.Create(path, data, client.CreateOptions{})
	case "set":
		txn.Set(path, data, version)
	case "delete":
		txn.Delete(path, version)
	case "check":
		txn.Check(path, version)
	default:
		return usagef("operation %q: must be create, set, delete or check", name)
	}
	return nil
}

// splitWords splits at spaces; a word in double quotes may hold some.
func splitWords(s string) ([]string, error) {
	var words []string
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return words, nil
		}
		if s[0] != '"' {
			n := strings.IndexAny(s, " \t")
			if n < 0 {
				n = len(s)
			}
			words, s = append(words, s[:n]), s[n:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, s = append(words, word), s[len(quoted):]
	}
}
