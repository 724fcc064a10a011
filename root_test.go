package gopherwood

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lattice is who may import whom. A line is a layer: its number, its name, its packages. A package may import those of the
// layers with smaller numbers, never one of its own layer or above, save what a line "may" says. A new package gets its place here
// first.
const lattice = `
0 ground    zk  internal/vfs  internal/sock  internal/certs
0 ground    internal/sasl  internal/audit  internal/planted
1 core      internal/sasl/krb5
1 core      internal/tree  internal/watch  internal/session
2 edges     internal/wire  internal/raftlog  internal/peer
3 node      internal/node
4 drivers   replica  client
5 services  internal/server  internal/server/zoocfg  internal/bench
5 services  replica/admin
6 programs  examples/kv
1 core      examples/fsmaster/core
2 edges     examples/fsmaster/journal  examples/fsmaster/fsclient
5 services  examples/fsmaster/raftha  examples/fsmaster/zkha  examples/fsmaster/stage
6 programs  examples/fsmaster  examples/fsmaster/compare  examples/fsmaster/splitbrain
6 programs  cmd/gopherwood
6 judges    internal/history
7 proofs    internal/fakezk  internal/sim  internal/certs/certtest
8 kits      replica/replicatest
7 proofs    e2e  e2e/oracle  e2e/upstream  e2e/internal/ensemble  e2e/internal/cutproxy  e2e/internal/load  e2e/internal/raw
7 proofs    e2e/chaos  e2e/internal/lan  e2e/internal/baddisk
8 programs  cmd/gopherwood-sim

may internal/server  internal/server/zoocfg  replica/admin
may e2e/internal/load  e2e/internal/raw
may e2e/chaos  e2e/internal/baddisk  e2e/internal/ensemble  e2e/internal/lan  e2e/internal/raw
may e2e/oracle  e2e/internal/ensemble  e2e/internal/raw
may e2e  e2e/internal/ensemble  e2e/internal/cutproxy  e2e/internal/load  e2e/internal/raw
`

// pure packages decide things; they are stepped, so that a simulation can replay them. The same inputs have to give the same
// outputs: no clock, no sockets, no files, no goroutines, no randomness that the caller did not give.
var pure = []string{"internal/tree", "internal/watch", "internal/session", "internal/node", "examples/fsmaster/core"}

// Imports that a pure package does without, and functions that reach for the clock or the global random source.
var (
	impureImports = []string{"context", "crypto/rand", "net", "net/http", "os", "os/exec", "os/signal", "runtime", "sync", "syscall", "time"}
	impureCalls   = []string{"rand.Float64", "rand.Int", "rand.Int64", "rand.IntN", "rand.Intn", "rand.N", "rand.Perm", "rand.Shuffle", "rand.Uint32", "rand.Uint64"}
)

// impureAllowed are the exceptions, each with its reason.
var impureAllowed = map[string]string{
	"internal/tree rand.Uint64": "the key of the path index's hash, against chosen collisions; it shows in no result, digest or snapshot",
}

// module is the import path of this repository.
const module = "gopherwood/"

// source is one Go file that is not a test.
type source struct {
	name string // with its folder
	file *ast.File
}

// packages returns the files of every package, by folder.
func packages(t *testing.T) (map[string][]source, *token.FileSet) {
	t.Helper()
	files := token.NewFileSet()
	found := make(map[string][]source)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(name))
		found[dir] = append(found[dir], source{name, f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no packages found")
	}
	return found, files
}

// imports returns the paths that a file imports.
func imports(t *testing.T, f *ast.File) []string {
	t.Helper()
	var paths []string
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// readLattice returns each package's layer and the exceptions, "from to".
func readLattice(t *testing.T) (layer map[string]int, may map[string]bool) {
	t.Helper()
	layer, may = make(map[string]int), make(map[string]bool)
	for line := range strings.Lines(lattice) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "may" {
			for _, to := range fields[2:] {
				may[fields[1]+" "+to] = true
			}
			continue
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatalf("lattice: %q: %v", line, err)
		}
		for _, p := range fields[2:] {
			layer[p] = n
		}
	}
	return layer, may
}

func TestImportsGoDown(t *testing.T) {
	found, _ := packages(t)
	layer, may := readLattice(t)
	for dir, sources := range found {
		from, ok := layer[dir]
		if !ok {
			t.Errorf("package %s has no place in the lattice of root_test.go", dir)
			continue
		}
		for _, s := range sources {
			for _, p := range imports(t, s.file) {
				to, ours := strings.CutPrefix(p, module)
				if ours && layer[to] >= from && !may[dir+" "+to] {
					t.Errorf("%s: %s (layer %d) may not import %s (layer %d)", s.name, dir, from, to, layer[to])
				}
			}
		}
	}
}

func TestPureStaysPure(t *testing.T) {
	found, files := packages(t)
	for _, dir := range pure {
		for _, s := range found[dir] {
			for _, p := range imports(t, s.file) {
				if slices.Contains(impureImports, p) {
					t.Errorf("%s: %s may not import %s: the caller brings time, files and connections", s.name, dir, p)
				}
			}
			ast.Inspect(s.file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: %s may not start goroutines", files.Position(n.Pos()), dir)
				case *ast.SelectorExpr:
					x, ok := n.X.(*ast.Ident)
					if !ok {
						return true
					}
					call := x.Name + "." + n.Sel.Name
					if slices.Contains(impureCalls, call) && impureAllowed[dir+" "+call] == "" {
						t.Errorf("%s: %s may not use the global random source", files.Position(n.Pos()), dir)
					}
				}
				return true
			})
		}
	}
}

func TestPackageComments(t *testing.T) {
	found, _ := packages(t)
	for dir, sources := range found {
		var comments []string
		for _, s := range sources {
			if s.file.Doc != nil {
				comments = append(comments, s.file.Doc.Text())
			}
		}
		name := sources[0].file.Name.Name
		want := fmt.Sprintf("Package %s ", name)
		if name == "main" {
			want = ""
		}
		if !slices.ContainsFunc(comments, func(c string) bool { return strings.HasPrefix(c, want) }) {
			t.Errorf("package %s has no comment that begins with %q", dir, want)
		}
	}
}
