package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs the scripts of testdata, each of which showed a mistake once.
func TestScripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.sim")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d scripts, %v", len(names), err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ReadScript(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r := Run(Options{Script: s}); r.Violation != "" {
			t.Errorf("%s: %s", name, r)
		}
	}
}

// TestScriptIsTheSeed holds that a seed and what it spells out are the same simulation, in each mode.
func TestScriptIsTheSeed(t *testing.T) {
	for _, mode := range []Mode{Safe, Beyond} {
		for seed := uint64(1); seed <= 2; seed++ {
			o := Options{Seed: seed, Mode: mode}
			text := draw(&o).String()
			s, err := ReadScript(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if again := s.String(); again != text {
				t.Errorf("the script\n%s\nwas read and written as\n%s", text, again)
			}
			a, b := Run(o), Run(Options{Script: s})
			if a.Hash != b.Hash || a.Events != b.Events {
				t.Errorf("seed %d: %d events, hash %x; its script: %d, %x", seed, a.Events, a.Hash, b.Events, b.Hash)
			}
		}
	}
}

func TestReadScriptRefuses(t *testing.T) {
	whole := draw(&Options{Seed: 1}).String()
	for _, c := range []struct{ name, text string }{
		{"nothing", ""},
		{"an unknown word", whole + "weather fine\n"},
		{"no value", whole + "clients\n"},
		{"a fault that there is not", whole + "fault 1 earthquake 2\n"},
		{"half a fault", whole + "fault 1 kill\n"},
		{"too many servers", whole + "servers 99\n"},
		{"only observers", whole + "observers 7\nservers 7\n"},
		{"a mode that there is not", whole + "mode wild\n"},
		{"steps that go back", whole + "steps 7-3\n"},
		{"a number that is none", whole + "clients many\n"},
		{"a workload that there is not", whole + "workload none\n"},
	} {
		if _, err := ReadScript(strings.NewReader(c.text)); err == nil {
			t.Errorf("a script with %s is taken", c.name)
		}
	}
}

// TestStepsLeftOut holds what shrinking rests on: a script without clients' steps does less, and without faults nothing goes wrong.
func TestStepsLeftOut(t *testing.T) {
	s := draw(&Options{Seed: 3})
	all := Run(Options{Script: s})
	less := s.clone()
	less.steps = spans{{0, 9}}
	few := Run(Options{Script: less})
	if few.Violation != "" || few.Stats.Acked == 0 || few.Stats.Acked > 80 || few.Stats.Acked >= all.Stats.Acked {
		t.Errorf("ten steps answered %d commands, all of them %d; %s", few.Stats.Acked, all.Stats.Acked, few.Violation)
	}
	less = s.clone()
	less.faults = nil
	if calm := Run(Options{Script: less}); calm.Violation != "" || calm.Stats.Faults != [faultKinds]int{} {
		t.Errorf("without faults: %s", calm)
	}
}

// TestPicture draws pictures until everything that they can show has happened, and holds that each is whole, and that the run was not another one for being
// watched.
func TestPicture(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine has no races, and this takes ten times as long to say so")
	}
	wanted := map[string]bool{}
	for _, f := range pictureFormats {
		wanted[f] = true
	}
	for seed := uint64(1); seed <= 100 && len(wanted) > 0; seed++ {
		o := Options{Seed: seed, Mode: Beyond}
		o.watch = func(l *traceLine) { delete(wanted, l.format) }
		Run(o)
		if seed > 2 {
			continue
		}
		var b bytes.Buffer
		r, err := Picture(&b, Options{Seed: seed}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if plain := Run(Options{Seed: seed}); plain.Hash != r.Hash {
			t.Errorf("seed %d is another run when it is drawn", seed)
		}
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	for f := range wanted {
		t.Errorf("the picture waits for %q, which never happens", f)
	}
}
