package watch

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gopherwood/zk"
)

var rewrite = flag.Bool("rewrite", false, "write the scripts' output into testdata")

var (
	kindWords = map[string]Kind{"data": Data, "child": Child, "persistent": Persistent, "recursive": Recursive}
	typeWords = map[string]zk.WatcherType{"data": zk.WatcherData, "child": zk.WatcherChildren,
		"persistent": zk.WatcherPersistent, "recursive": zk.WatcherPersistentRecursive, "any": zk.WatcherAny}
	eventWords = map[string]zk.EventType{"created": zk.EventNodeCreated, "deleted": zk.EventNodeDeleted,
		"changed": zk.EventNodeDataChanged, "children": zk.EventNodeChildrenChanged}
)

// TestScripts runs testdata/*.txt. A line is a command, what it answered follows after "→"; # starts a comment.
//
//	watch W PATH KIND…     register          check W PATH TYPE      checkWatches
//	fire EVENT PATH        who is told       remove W PATH TYPE     removeWatches
//	close W                RemoveAll         counts                 watches, paths, watchers
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			tab := New(Options{})
			for line := range strings.Lines(string(raw)) {
				command := strings.TrimSpace(strings.SplitN(line, "→", 2)[0])
				if command == "" || command[0] == '#' {
					out.WriteString(line)
					continue
				}
				fmt.Fprintf(&out, "%-32s → %s\n", command, run(t, tab, strings.Fields(command)))
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(raw) {
				t.Errorf("output differs (-rewrite accepts it):\n%s", out.String())
			}
		})
	}
}

func run(t *testing.T, tab *Table, f []string) string {
	watcher := func(s string) Handle {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return Handle(n)
	}
	switch f[0] {
	case "watch":
		for _, k := range f[3:] {
			if err := tab.Add(watcher(f[1]), f[2], kindWords[k]); err != nil {
				return err.Error()
			}
		}
		return "ok"
	case "fire":
		if told := tab.Trigger(nil, eventWords[f[1]], f[2]); len(told) > 0 {
			return strings.Trim(fmt.Sprint(told), "[]")
		}
		return "nobody"
	case "check":
		return fmt.Sprint(tab.Has(watcher(f[1]), f[2], typeWords[f[3]]))
	case "remove":
		return fmt.Sprint(tab.Remove(watcher(f[1]), f[2], typeWords[f[3]]))
	case "close":
		tab.RemoveAll(watcher(f[1]))
		return "ok"
	case "counts":
		c := tab.Counts()
		return fmt.Sprintf("%d watches, %d paths, %d watchers", c.Watches, c.Paths, c.Watchers)
	}
	t.Fatalf("no command %q", f[0])
	return ""
}
