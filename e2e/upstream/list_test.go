package upstream

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// list is one project's tests, read from a file of sections:
//
//	run:                 classes, all of whose tests run
//	quick:               classes or class#method of those that run, for every `make test`
//	fails: reason        class#method of those that run and can't pass, or whole classes
//	apart: reason        classes, or class#method of those that run, that don't run at all
//
// A section's head begins at the line's start and its names are indented. A # at the start of a line is a comment.
type list struct {
	run   []string
	quick []string
	fails map[string]string // class#method or class, to the reason
	apart map[string]string // class or class#method, to the reason
}

func readList(file string) (*list, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l := &list{fails: make(map[string]string), apart: make(map[string]string)}
	var kind, reason string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		name := strings.TrimSpace(line)
		switch {
		case name == "" || line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			var ok bool
			kind, reason, ok = strings.Cut(name, ":")
			reason = strings.TrimSpace(reason)
			if wants := kind == "fails" || kind == "apart"; !ok || !slices.Contains([]string{"run", "quick", "fails", "apart"}, kind) || wants != (reason != "") {
				return nil, fmt.Errorf("%s:%d: %q is no head of a section", file, n, line)
			}
		default:
			if err := l.add(kind, reason, name); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n, err)
			}
		}
	}
	return l, lines.Err()
}

func (l *list) add(kind, reason, name string) error {
	switch kind {
	case "run":
		if slices.Contains(l.run, name) {
			return fmt.Errorf("%s is there twice", name)
		}
		l.run = append(l.run, name)
	case "quick":
		l.quick = append(l.quick, name)
	case "fails", "apart":
		to := l.fails
		if kind == "apart" {
			to = l.apart
		}
		if _, ok := to[name]; ok {
			return fmt.Errorf("%s is there twice", name)
		}
		to[name] = reason
	default:
		return fmt.Errorf("%s is in no section", name)
	}
	return nil
}

// check finds what contradicts itself: a class that runs and does not, a test that is listed but whose class does not run.
func (l *list) check() error {
	for name, reason := range l.apart {
		if slices.Contains(l.run, name) {
			return fmt.Errorf("%s runs, and is apart because %s", name, reason)
		}
	}
	for name := range l.apart {
		if class, method, _ := strings.Cut(name, "#"); method != "" && !slices.Contains(l.run, class) {
			return fmt.Errorf("%s is apart, but %s does not run at all", name, class)
		}
	}
	for name := range l.fails {
		if class, _, _ := strings.Cut(name, "#"); !slices.Contains(l.run, class) {
			return fmt.Errorf("%s is listed to fail, but %s does not run", name, class)
		}
	}
	for _, name := range l.quick {
		class, _, _ := strings.Cut(name, "#")
		if !slices.Contains(l.run, class) {
			return fmt.Errorf("%s is quick, but %s does not run", name, class)
		}
	}
	return nil
}

// reason returns why a test can't pass, "" if it has to.
func (l *list) reason(class, method string) string {
	if reason := l.fails[class+"#"+method]; reason != "" {
		return reason
	}
	return l.fails[class]
}

// apartMethods returns the methods of a class that runs which don't run.
func (l *list) apartMethods(class string) []string {
	var methods []string
	for name := range l.apart {
		if c, method, _ := strings.Cut(name, "#"); c == class && method != "" {
			methods = append(methods, method)
		}
	}
	slices.Sort(methods)
	return methods
}

// names tells whether the list has a class of a module.
func (l *list) names(module string) bool {
	in := func(name string) bool { return name == module || strings.HasPrefix(name, module+".") }
	if slices.ContainsFunc(l.run, in) {
		return true
	}
	for name := range l.apart {
		if in(name) {
			return true
		}
	}
	return false
}

func TestLists(t *testing.T) {
	for _, file := range []string{"zookeeper.txt", "curator.txt", "kazoo.txt"} {
		l, err := readList(file)
		if err == nil {
			err = l.check()
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if len(l.run) == 0 || len(l.quick) == 0 {
			t.Errorf("%s: %d classes run, %d quick", file, len(l.run), len(l.quick))
		}
	}
}
