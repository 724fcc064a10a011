package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets the test binary be the program, for the workers that it starts.
func TestMain(m *testing.M) {
	if os.Getenv("GOPHERWOOD_SIM_WORKER") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// ask runs the program and wants an exit code.
func ask(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if got := run(args, &out, &errs); got != want {
		t.Fatalf("%v: exit code %d, not %d\n%s", args, got, want, errs.String())
	}
	return out.String(), errs.String()
}

func TestSeedPrintsTheSameEveryTime(t *testing.T) {
	first, _ := ask(t, exitOK, "-seed", "7")
	again, _ := ask(t, exitOK, "-seed", "7")
	if first != again {
		t.Error("the same seed printed something else")
	}
	for _, want := range []string{"MsgApp", "leads term", "heals", "seed 7: ok"} {
		if !strings.Contains(first, want) {
			t.Errorf("nothing is said of %q", want)
		}
	}
	quiet, _ := ask(t, exitOK, "-seed", "7", "-quiet")
	if !strings.HasSuffix(first, quiet) || strings.Contains(quiet, "MsgApp") {
		t.Errorf("-quiet prints %s", quiet)
	}
}

func TestManyInProcesses(t *testing.T) {
	t.Setenv("GOPHERWOOD_SIM_WORKER", "1")
	counts := func(out string) string {
		_, stats, _ := strings.Cut(out, "events\n")
		return stats
	}
	one, _ := ask(t, exitOK, "-seeds", "5", "-start", "3")
	two, _ := ask(t, exitOK, "-seeds", "5", "-start", "3", "-j", "2")
	short, _ := ask(t, exitOK, "-seeds", "100000", "-for", "1ms")
	if !strings.HasPrefix(short, "1 seeds, 0 broken") {
		t.Errorf("with a time limit: %s", short)
	}
	if counts(one) == "" || counts(one) != counts(two) {
		t.Errorf("in one process:\n%s\nin two:\n%s", one, two)
	}
}

func TestPictureOfASeed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "seed.svg")
	ask(t, exitOK, "-seed", "7", "-svg", name)
	b, err := os.ReadFile(name)
	if err != nil || !bytes.HasPrefix(b, []byte("<svg")) {
		t.Errorf("%.20s, %v", b, err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-mode", "wild"}, {"-profile", "sunny"}, {"-workload", "none"}, {"-servers", "99"}, {"what"}, {"-j", "0"}, {"-shrink"}, {"-svg", "x"},
		{"-script", "/does/not/exist"}, {"-seed", "1", "-script", "x"}, {"-nonsense"}, {"-seed", "7", "-shrink"},
	} {
		_, stderr := ask(t, exitUsage, args...)
		if stderr == "" {
			t.Errorf("%v: not a word of why", args)
		}
	}
}
