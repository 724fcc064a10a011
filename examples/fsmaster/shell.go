package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopherwood/examples/fsmaster/core"
	"gopherwood/examples/fsmaster/fsclient"
)

// mastersVariable names the masters that the shell talks to.
const mastersVariable = "FSMASTER"

// shellTimeout outlives an election.
const shellTimeout = 30 * time.Second

// verb is a command of the shell: its arguments, and what it sends.
type verb struct {
	usage string
	args  int // at least
	op    func(a []string) (core.Op, error)
	get   string // or what it asks for
}

var verbs = map[string]verb{
	"mkdir":  {"PATH", 1, func(a []string) (core.Op, error) { return core.Op{Kind: core.Mkdir, Path: a[0], Parents: true}, nil }, ""},
	"create": {"PATH", 1, func(a []string) (core.Op, error) { return core.Op{Kind: core.Create, Path: a[0]}, nil }, ""},
	"mv":     {"PATH TO", 2, func(a []string) (core.Op, error) { return core.Op{Kind: core.Rename, Path: a[0], To: a[1]}, nil }, ""},
	"rm": {"PATH [-r]", 1, func(a []string) (core.Op, error) {
		return core.Op{Kind: core.Delete, Path: a[0], Recursive: slices.Contains(a[1:], "-r")}, nil
	}, ""},
	"chown": {"PATH OWNER", 2, func(a []string) (core.Op, error) { return core.Op{Kind: core.SetAttr, Path: a[0], Owner: a[1]}, nil }, ""},
	"chmod": {"PATH OCTAL", 2, chmod, ""},
	"setattr": {"PATH NAME [VALUE]", 2, func(a []string) (core.Op, error) {
		return core.Op{Kind: core.SetAttr, Path: a[0], Attrs: map[string]string{a[1]: strings.Join(a[2:], " ")}}, nil
	}, ""},
	"addblock":  {"PATH BYTES", 2, func(a []string) (core.Op, error) { return sized(core.Op{Kind: core.AddBlock, Path: a[0]}, a[1]) }, ""},
	"register":  {"ADDRESS BYTES", 2, func(a []string) (core.Op, error) { return sized(core.Op{Kind: core.Register, Addr: a[0]}, a[1]) }, ""},
	"heartbeat": {"WORKER", 1, heartbeat, ""},
	"mount":     {"PATH URI", 2, func(a []string) (core.Op, error) { return core.Op{Kind: core.Mount, Path: a[0], To: a[1]}, nil }, ""},
	"umount":    {"PATH", 1, func(a []string) (core.Op, error) { return core.Op{Kind: core.Unmount, Path: a[0]}, nil }, ""},
	"finish":    {"(an import)", 0, func([]string) (core.Op, error) { return core.Op{Kind: core.Imported}, nil }, ""},
	"ls":        {"PATH", 1, nil, "list"},
	"stat":      {"PATH", 1, nil, "stat"},
	"workers":   {"", 0, nil, "workers"},
	"mounts":    {"", 0, nil, "mounts"},
	"status":    {"", 0, nil, "status"},
}

func shellNames() []string { return slices.Sorted(maps.Keys(verbs)) }

func chmod(a []string) (core.Op, error) {
	mode, err := strconv.ParseUint(a[1], 8, 32)
	m := uint32(mode)
	return core.Op{Kind: core.SetAttr, Path: a[0], Mode: &m}, err
}

func sized(op core.Op, text string) (core.Op, error) {
	var err error
	op.Size, err = strconv.ParseInt(text, 10, 64)
	return op, err
}

func heartbeat(a []string) (core.Op, error) {
	id, err := strconv.ParseUint(a[0], 10, 64)
	return core.Op{Kind: core.Heartbeat, Worker: id}, err
}

// masters are those that FSMASTER names.
func masters() []string {
	if list := os.Getenv(mastersVariable); list != "" {
		return strings.Split(list, ",")
	}
	return []string{"127.0.0.1:9001"}
}

// shell carries out a command, or with "sh" those that come in.
func shell(args []string) error {
	c := fsclient.New(masters(), 1)
	if args[0] != "sh" {
		return command(c, args)
	}
	in := bufio.NewScanner(os.Stdin)
	for fmt.Print("fs> "); in.Scan(); fmt.Print("fs> ") {
		words := strings.Fields(in.Text())
		switch {
		case len(words) == 0:
			continue
		case words[0] == "exit":
			return nil
		}
		if err := command(c, words); err != nil {
			fmt.Println(err)
		}
	}
	return in.Err()
}

func command(c *fsclient.Client, words []string) error {
	v, ok := verbs[words[0]]
	if !ok {
		return fmt.Errorf("there is no command %q; there are %s. %s names the masters, as host:port,host:port", words[0], strings.Join(shellNames(), ", "), mastersVariable)
	}
	args := words[1:]
	if len(args) < v.args {
		return fmt.Errorf("usage: %s %s", words[0], v.usage)
	}
	ctx, cancel := context.WithTimeout(context.Background(), shellTimeout)
	defer cancel()
	if v.op == nil {
		return show(ctx, c, v.get, args)
	}
	op, err := v.op(args)
	if err != nil {
		return fmt.Errorf("usage: %s %s: %w", words[0], v.usage, err)
	}
	result, err := c.Do(ctx, op)
	if err != nil {
		return err
	}
	return print(result)
}

// show prints an answer; the entries of a directory a line each.
func show(ctx context.Context, c *fsclient.Client, what string, args []string) error {
	q := url.Values{}
	if len(args) > 0 {
		q.Set("path", args[0])
	}
	if what != "list" {
		var v any
		if err := c.Get(ctx, "/v1/"+what, q, &v); err != nil {
			return err
		}
		return print(v)
	}
	for {
		var all []core.Info
		if err := c.Get(ctx, "/v1/list", q, &all); err != nil {
			return err
		}
		for _, i := range all {
			kind := "-"
			if i.Dir {
				kind = "d"
			}
			fmt.Printf("%s%04o %10d  %s  %s %s\n", kind, i.Mode, i.Size, time.UnixMilli(i.MtimeMs).UTC().Format(time.DateTime), i.Name, i.Mount)
		}
		if len(all) < defaultLimit {
			return nil
		}
		q.Set("after", all[len(all)-1].Name)
	}
}

func print(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
