package oracle

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Zxids stand in a raw transcript as marks: what they are called depends on all that the run shows.
const (
	markExact = "\x01x" // a transaction's own: in a Stat, an event, the reply to a write
	markRead  = "\x01r" // of the reply to a read: the server's last
	markEnd   = "\x02"
)

func exact(zxid int64) string    { return markExact + strconv.FormatInt(zxid, 10) + markEnd }
func readZxid(zxid int64) string { return markRead + strconv.FormatInt(zxid, 10) + markEnd }

var marks = regexp.MustCompile("\x01([xr])(-?[0-9]+)\x02")

// Transcript is what one server answered to a script: an entry of lines for each step, and one for the end.
type Transcript [][]string

// normalise applies the rules that need the whole run. written are the zxids of the run's own writes.
func normalise(raw [][]string, written map[int64]bool) Transcript {
	var zxids []int64
	for _, lines := range raw {
		for _, line := range lines {
			for _, m := range marks.FindAllStringSubmatch(line, -1) {
				if z, err := strconv.ParseInt(m[2], 10, 64); err == nil && m[1] == "x" && z > 0 {
					zxids = append(zxids, z)
				}
			}
		}
	}
	slices.Sort(zxids)
	zxids = slices.Compact(zxids)
	t := make(Transcript, len(raw))
	for i, lines := range raw {
		lines = sortEnds(slices.Clone(lines), written)
		for j := range lines {
			lines[j] = marks.ReplaceAllStringFunc(lines[j], func(m string) string { return rank(zxids, m) })
		}
		t[i] = lines
	}
	return t
}

// rank is ruleZxid and ruleReadZxid: the first of the run's zxids is z1, whatever lies before it z0.
func rank(zxids []int64, mark string) string {
	m := marks.FindStringSubmatch(mark)
	z, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil || z <= 0 {
		return m[2]
	}
	i, found := slices.BinarySearch(zxids, z)
	if found {
		i++
	}
	return "z" + strconv.Itoa(i)
}

// sortEnds is ruleEnd: events one after the other that have the zxid of no write (but that of a closeSession, which written does not
// have) are those of a session's end; ZooKeeper deletes its nodes in the order of a hash.
func sortEnds(lines []string, written map[int64]bool) []string {
	for i := 0; i < len(lines); {
		j := i + 1
		if z, ok := endOf(lines[i], written); ok {
			for j < len(lines) {
				if next, ok := endOf(lines[j], written); !ok || next != z {
					break
				}
				j++
			}
			slices.Sort(lines[i:j])
		}
		i = j
	}
	return lines
}

func endOf(line string, written map[int64]bool) (zxid int64, ok bool) {
	if !strings.HasPrefix(line, "event ") {
		return 0, false
	}
	m := marks.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	z, err := strconv.ParseInt(m[2], 10, 64)
	return z, err == nil && z > 0 && !written[z]
}

// String is the transcript as testdata has it.
func (t Transcript) String() string {
	var b strings.Builder
	for i, lines := range t {
		fmt.Fprintf(&b, "%d\n", i+1)
		for _, line := range lines {
			b.WriteString("\t" + strings.ReplaceAll(line, "\n", "\n\t") + "\n")
		}
	}
	return b.String()
}

// names are what normalise calls zxids.
var names = regexp.MustCompile(`\bz[0-9]+\b`)

// Diff is the first step in which two transcripts differ and how, or "" if they do not. Zxids count only if nothing else differs: one that
// appears on one side alone changes the names of all that come after it.
func Diff(steps []Step, want, got Transcript) string {
	blind := func(lines []string) []string {
		out := make([]string, len(lines))
		for i, line := range lines {
			out[i] = names.ReplaceAllString(line, "z")
		}
		return out
	}
	for _, view := range []func([]string) []string{blind, slices.Clone[[]string]} {
		for i := range want {
			if !slices.Equal(view(want[i]), view(got[i])) {
				return describe(steps, i, want[i], got[i])
			}
		}
	}
	return ""
}

func describe(steps []Step, i int, want, got []string) string {
	what := "the end"
	if i < len(steps) {
		what = steps[i].String()
	}
	for i == len(steps) && len(want) > 1 && len(got) > 1 && want[0] == got[0] { // the end is long
		want, got = want[1:], got[1:]
	}
	want, got = want[:min(len(want), shownLines)], got[:min(len(got), shownLines)]
	indent := func(lines []string) string { return strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n\t") }
	return fmt.Sprintf("step %d: %s\nZooKeeper:\n\t%s\nGopherwood:\n\t%s", i+1, what, indent(want), indent(got))
}
