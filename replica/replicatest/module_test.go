package replicatest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// somebodysTest is a test of somebody else's module. Its state machine has no mistake.
const somebodysTest = `package other

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"gopherwood/replica"
	"gopherwood/replica/replicatest"
)

type counter struct{ total int64 }

func (c *counter) Apply(cmd replica.Command) any { n, _ := binary.Varint(cmd.Data); c.total += n; return c.total }
func (c *counter) View() (replica.View, error)   { return picture(c.total), nil }
func (c *counter) Restore(r io.Reader) error     { return binary.Read(r, binary.LittleEndian, &c.total) }

type picture int64

func (p picture) WriteTo(w io.Writer) (int64, error) { return 8, binary.Write(w, binary.LittleEndian, int64(p)) }
func (p picture) Close()                             {}

func TestConforms(t *testing.T) {
	replicatest.Test(t, replicatest.Kit{
		New:     func() replica.StateMachine { return &counter{} },
		Command: func(r *rand.Rand) []byte { return binary.AppendVarint(nil, r.Int64N(100)) },
		Seeds:   1,
	})
}
`

// The kit is for others: a module of somebody else's can use it.
func TestAnotherModuleCanUseTheKit(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.org/other\n\ngo 1.26.0\n\nrequire gopherwood v0.0.0\n\nreplace gopherwood => " + root + "\n",
		"go.sum":        string(sum),
		"other_test.go": somebodysTest,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.Command("go", "test", "-count=1", "-v", ".")
	run.Dir = dir
	run.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestConforms/convergence") {
		t.Errorf("%v: %s", err, out)
	}
}
