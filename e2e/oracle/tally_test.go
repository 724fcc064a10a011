package oracle_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopherwood/e2e/oracle"
)

// tally counts what ZooKeeper answered, so that a reader sees what was compared. Safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	counts map[string]map[string]int // by verb, or "event"; then by code, or type
}

var (
	replyLine = regexp.MustCompile(`^(-?[0-9]+) zxid=`)
	eventLine = regexp.MustCompile(`^event (type=[0-9]+)`)
	memberErr = regexp.MustCompile(` code=(-[0-9]+)`)
)

func (c *tally) add(steps []oracle.Step, answers oracle.Transcript) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, lines := range answers {
		verb := "the end"
		if i < len(steps) {
			verb = steps[i].Verb
		}
		for _, line := range lines {
			if m := eventLine.FindStringSubmatch(line); m != nil {
				c.count("event", m[1])
			} else if m := replyLine.FindStringSubmatch(line); m != nil {
				c.count(verb, m[1])
			} else if verb != "the end" {
				c.count(verb, strings.TrimSuffix(regexp.MustCompile(`[0-9]+`).ReplaceAllString(line, "N"), ":"))
			}
			for _, m := range memberErr.FindAllStringSubmatch(line, -1) {
				c.count("member of "+verb, m[1])
			}
		}
	}
}

func (c *tally) count(what, outcome string) {
	if c.counts[what] == nil {
		if c.counts == nil {
			c.counts = map[string]map[string]int{}
		}
		c.counts[what] = map[string]int{}
	}
	c.counts[what][outcome]++
}

// String has a line for each verb.
func (c *tally) String() string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		fmt.Fprintf(&b, "%s:", what)
		for _, outcome := range slices.Sorted(maps.Keys(c.counts[what])) {
			fmt.Fprintf(&b, " %s×%d", outcome, c.counts[what][outcome])
		}
		b.WriteString("\n")
	}
	return b.String()
}
