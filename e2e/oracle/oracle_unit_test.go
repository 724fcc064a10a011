package oracle_test

import (
	"slices"
	"strings"
	"testing"

	"gopherwood/e2e/oracle"
)

// TestDrawAndParse holds that a seed is always the same script, and that a script's text is the script.
func TestDrawAndParse(t *testing.T) {
	verbs := map[string]int{}
	for seed := range uint64(50) {
		steps := oracle.Draw(seed, 300)
		text := oracle.Format(steps)
		if again := oracle.Format(oracle.Draw(seed, 300)); again != text || len(steps) != 300 {
			t.Fatalf("seed %d: %d steps, not the same twice", seed, len(steps))
		}
		parsed, err := oracle.Parse("# a comment\n\n" + text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if back := oracle.Format(parsed); back != text {
			t.Fatalf("seed %d: read back as another script:\n%s", seed, back)
		}
		for _, s := range steps {
			verbs[s.Verb]++
		}
	}
	for _, verb := range []string{"expire", "move", "reconnect", "setWatches2", "multiRead", "badpass", "future", "open", "check", "raw"} {
		if verbs[verb] == 0 {
			t.Errorf("no %s in 15,000 steps", verb)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, script := range []string{"c1", "  create /a", "c1 create", "c1 create /a flags", "c1 create /a flags=x", "c1 create /a nosuch=1", `c1 create "/a`,
		"c1 create /a acl=31:world", "c1 create /a acl=x:world:anyone", "c1 raw code=1 body=f"} {
		if _, err := oracle.Parse(script); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", script, err)
		}
	}
}

// TestShrink takes a script apart whose failure needs three steps and one member of a multi.
func TestShrink(t *testing.T) {
	steps := oracle.Draw(1, 300)
	need := []string{"c1 delete /here", "c2 sync /there", "c1 multi\n  check /mark"}
	for i, at := range []int{40, 170, 299} {
		extra, err := oracle.Parse(need[i])
		if err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			more, err := oracle.Parse("c1 multi\n  create /x\n  create /y")
			if err != nil {
				t.Fatal(err)
			}
			extra[0].Members = append(more[0].Members, extra[0].Members...)
		}
		steps = slices.Insert(steps, at, extra...)
	}
	runs := 0
	short := oracle.Shrink(steps, func(s []oracle.Step) bool {
		runs++
		text := oracle.Format(s)
		at := 0
		for _, want := range []string{need[0], need[1], "check /mark"} {
			i := strings.Index(text[at:], want)
			if i < 0 {
				return false
			}
			at += i
		}
		return true
	})
	if got, want := oracle.Format(short), strings.Join(need, "\n")+"\n"; got != want {
		t.Errorf("after %d runs:\n%s", runs, got)
	}
}

// TestDiff holds that a name for a zxid is no difference by itself as long as there is another one.
func TestDiff(t *testing.T) {
	steps, err := oracle.Parse("c1 sync /a\nc1 sync /b\n")
	if err != nil {
		t.Fatal(err)
	}
	want := oracle.Transcript{{"0 zxid=z1"}, {"0 zxid=z2"}, {"c1:"}}
	if d := oracle.Diff(steps, want, want); d != "" {
		t.Errorf("it differs from itself: %s", d)
	}
	for _, c := range []struct {
		got  oracle.Transcript
		step string
	}{
		{oracle.Transcript{{"0 zxid=z2"}, {"0 zxid=z2"}, {"c1:"}}, "step 1: c1 sync /a"},
		{oracle.Transcript{{"0 zxid=z2"}, {"-5 zxid=z2"}, {"c1:"}}, "step 2: c1 sync /b"},
		{oracle.Transcript{{"0 zxid=z1"}, {"0 zxid=z2"}, {"c1:", "event"}}, "step 3: the end"},
	} {
		if d := oracle.Diff(steps, want, c.got); !strings.HasPrefix(d, c.step+"\n") {
			t.Errorf("%v: %s", c.got, d)
		}
	}
}
