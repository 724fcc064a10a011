package replicatest

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"gopherwood/replica"
)

// trace is what came of the commands: each result's fingerprint, and the state now and then.
type trace struct {
	results []print
	states  []uint64 // after stateEvery commands each, and at the end
}

// stateEvery is after how many commands the states are compared.
const stateEvery = 100

// run applies all commands to a new instance.
func (k *Kit) run(commands []replica.Command) (*trace, error) {
	sm := k.New()
	tr := &trace{}
	for i, c := range commands {
		p, err := k.apply(sm, i, c)
		if err != nil {
			return nil, err
		}
		tr.results = append(tr.results, p)
		if (i+1)%stateEvery == 0 || i == len(commands)-1 {
			s, err := k.state(sm)
			if err != nil {
				return nil, err
			}
			tr.states = append(tr.states, s)
		}
	}
	return tr, nil
}

// compare says where two traces part.
func (k *Kit) compare(a, b *trace, where string, commands []replica.Command) error {
	for i := range a.results {
		if i >= len(b.results) || a.results[i] != b.results[i] {
			return k.failure("is not deterministic: command %d of seed %d (%d bytes: %.40q) has another result %s", i, k.Seed, len(commands[i].Data), commands[i].Data, where)
		}
	}
	for i := range a.states {
		if i >= len(b.states) || a.states[i] != b.states[i] {
			last := min((i+1)*stateEvery, len(a.results))
			return k.failure("is not deterministic: after %d commands of seed %d its %s is another one %s", last, k.Seed, describeState(k.New()), where)
		}
	}
	return nil
}

// determinism gives the same commands to instances in this process. The second one lives in a bubble of package synctest, in which it is the year 2000.
func determinism(t *testing.T, k *Kit) error {
	commands := k.commands()
	first, err := k.run(commands)
	if err != nil {
		return err
	}
	var bubble error
	synctest.Test(t, func(*testing.T) {
		second, err := k.run(commands)
		if bubble = err; err == nil {
			bubble = k.compare(first, second, "in a second instance, whose clock stands in the year 2000", commands)
		}
	})
	if bubble != nil {
		return bubble
	}
	third, err := k.run(commands)
	if err != nil {
		return err
	}
	return k.compare(first, third, "in a third instance", commands)
}

// childVariable tells another process of the test where to write its trace.
const childVariable = "REPLICATEST_TRACE"

// elsewhere runs the test's binary once more, in other surroundings, for its trace alone.
func elsewhere(t *testing.T, k *Kit) error {
	commands := k.commands()
	here, err := k.run(commands)
	if err != nil {
		return err
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "trace")
	parts := strings.Split(strings.TrimSuffix(t.Name(), "/elsewhere"), "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	child := exec.Command(os.Args[0], "-test.run="+strings.Join(parts, "/"), "-test.count=1")
	child.Env = append(os.Environ(), childVariable+"="+out, "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "GOMAXPROCS=1", "TMPDIR="+dir, "GOGC=20")
	if text, err := child.CombinedOutput(); err != nil {
		return fmt.Errorf("replicatest: the test of %s in another process: %w\n%s", k.name(), err, text)
	}
	there, err := readTrace(out, len(commands))
	if err != nil {
		return err
	}
	where := fmt.Sprintf("in another process, with another time zone, locale and directory, and one processor in place of %d", runtime.GOMAXPROCS(0))
	return k.compare(here, there, where, commands)
}

// writeTrace is the other process's part.
func (k *Kit) writeTrace(name string) error {
	tr, err := k.run(k.commands())
	if err != nil {
		return err
	}
	var b []byte
	for _, p := range tr.results {
		b = binary.LittleEndian.AppendUint64(b, uint64(p))
	}
	for _, s := range tr.states {
		b = binary.LittleEndian.AppendUint64(b, s)
	}
	return os.WriteFile(name, b, 0o600)
}

func readTrace(name string, commands int) (*trace, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("replicatest: the other process has left no trace: %w", err)
	}
	tr := &trace{}
	for ; len(b) >= 8; b = b[8:] {
		if v := binary.LittleEndian.Uint64(b); len(tr.results) < commands {
			tr.results = append(tr.results, print(v))
		} else {
			tr.states = append(tr.states, v)
		}
	}
	return tr, nil
}
