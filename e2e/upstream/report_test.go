package upstream

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// outcome is what a test runner said of one test.
type outcome int

const (
	passed outcome = iota
	failed
	skipped // by the test itself
)

// result is one test of a runner's report; a parameterized one is there once for each set of parameters.
type result struct {
	class, method string
	outcome       outcome
	message       string // of a failure, its first line
}

func (r result) name() string { return r.class + "#" + r.method }

// readReport reads an XML report in JUnit's form, as the JUnit console and pytest write it.
func readReport(file string) ([]result, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	type complaint struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string     `xml:"name,attr"`
		Class   string     `xml:"classname,attr"`
		Failure *complaint `xml:"failure"`
		Error   *complaint `xml:"error"`
		Skipped *complaint `xml:"skipped"`
	}
	var report struct {
		Cases  []testcase `xml:"testcase"`
		Suites []struct {
			Cases []testcase `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &report); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	cases := report.Cases
	for _, s := range report.Suites {
		cases = append(cases, s.Cases...)
	}
	var results []result
	for _, c := range cases {
		r := result{class: c.Class, method: c.Name[:strings.IndexAny(c.Name+"(", "([")]}
		bad := c.Failure
		if bad == nil {
			bad = c.Error
		}
		switch {
		case bad != nil:
			r.outcome = failed
			if r.message = bad.Message; r.message == "" {
				r.message = bad.Text
			}
			r.message, _, _ = strings.Cut(strings.TrimSpace(r.message), "\n")
		case c.Skipped != nil:
			r.outcome = skipped
		}
		results = append(results, r)
	}
	return results, nil
}

// summary counts what a project's tests did, against its list.
type summary struct {
	project string
	ran     int
	passed  int
	alone   int            // of those that passed, without having started a server
	skipped int            // by themselves
	listed  map[string]int // failed as listed, by reason
	apart   map[string]int // classes that did not run, by reason

	again      []string // passed at the second attempt only
	unexpected []string // failed and not listed, with what they said
	better     []string // listed, and passed in all their forms
}

func summarize(project string, l *list, results []result, started map[string]bool) *summary {
	s := &summary{project: project, listed: make(map[string]int), apart: make(map[string]int)}
	passes, fails := make(map[string]bool), make(map[string]bool)
	for _, r := range results {
		s.ran++
		reason := l.reason(r.class, r.method)
		switch r.outcome {
		case passed:
			s.passed++
			if started != nil && !started[r.name()] && !started[r.class] {
				s.alone++
			}
			passes[r.name()] = reason != ""
		case skipped:
			s.skipped++
		case failed:
			fails[r.name()] = true
			if reason != "" {
				s.listed[reason]++
			} else {
				s.unexpected = append(s.unexpected, r.name()+": "+r.message)
			}
		}
	}
	for name, listed := range passes {
		if listed && !fails[name] {
			s.better = append(s.better, name)
		}
	}
	slices.Sort(s.better)
	for _, reason := range l.apart {
		s.apart[reason]++
	}
	return s
}

func (s *summary) String() string {
	var b strings.Builder
	notApplicable := 0
	for _, n := range s.listed {
		notApplicable += n
	}
	fmt.Fprintf(&b, "%s: %d run, %d passed (%d of them without a server), %d failed as listed, %d skipped by themselves, %d failed unexpectedly\n",
		s.project, s.ran, s.passed, s.alone, notApplicable, s.skipped, len(s.unexpected))
	for _, part := range []struct {
		what    string
		reasons map[string]int
	}{{"tests failed as listed:", s.listed}, {"classes did not run:", s.apart}} {
		for _, reason := range slices.Sorted(maps.Keys(part.reasons)) {
			fmt.Fprintf(&b, "  %4d %s %s\n", part.reasons[reason], part.what, reason)
		}
	}
	for _, part := range []struct {
		what  string
		names []string
	}{{"passed at the second attempt", s.again}, {"listed, and passed", s.better}, {"FAILED", s.unexpected}} {
		for _, name := range part.names {
			fmt.Fprintf(&b, "  %s: %s\n", part.what, name)
		}
	}
	return b.String()
}

func TestSummarize(t *testing.T) {
	l := &list{run: []string{"A", "B"}, fails: map[string]string{"A#x": "no", "A#y": "no", "B": "never"}, apart: map[string]string{"C": "other"}}
	s := summarize("p", l, []result{
		{class: "A", method: "w"},
		{class: "A", method: "x", outcome: failed},
		{class: "A", method: "y"}, {class: "A", method: "y", outcome: failed},
		{class: "A", method: "z", outcome: failed, message: "oh"},
		{class: "B", method: "b"},
		{class: "B", method: "c", outcome: skipped},
	}, map[string]bool{"A": true})
	if s.ran != 7 || s.passed != 3 || s.alone != 1 || s.skipped != 1 || s.listed["no"] != 2 || s.apart["other"] != 1 {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.unexpected, []string{"A#z: oh"}) || !slices.Equal(s.better, []string{"B#b"}) {
		t.Errorf("unexpected %q, better %q", s.unexpected, s.better)
	}
}
