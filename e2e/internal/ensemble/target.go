package ensemble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Target says which servers to run.
type Target string

const (
	// Gopherwood is this repository's server, built once per test process.
	Gopherwood Target = "gopherwood"
	// GopherwoodRace is the same built with the race detector.
	GopherwoodRace Target = "gopherwood-race"
	// ZooKeeper is Apache ZooKeeper from the libraries of the Java suites.
	ZooKeeper Target = "zookeeper"
)

// Root returns the repository's folder: the nearest one up from the working directory that has a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("ensemble: no go.mod above the working directory")
		}
		dir = up
	}
}

// Cache returns the folder that `make` puts the suites' libraries and programs in.
func Cache() (string, error) {
	root, err := Root()
	return filepath.Join(root, ".cache"), err
}

// built remembers one build per flavour; a second caller waits for the first.
var built struct {
	mu     sync.Mutex
	binary map[Target]string
}

// Binary builds cmd/gopherwood once per process and flavour and returns the program's path. GOPHERWOOD_E2E_BINARY names one that
// is there already.
func Binary(target Target) (string, error) {
	if path := os.Getenv("GOPHERWOOD_E2E_BINARY"); path != "" {
		return path, nil
	}
	built.mu.Lock()
	defer built.mu.Unlock()
	if path, ok := built.binary[target]; ok {
		return path, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "bin", string(target))
	args := []string{"build", "-o", path}
	if target == GopherwoodRace {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/gopherwood")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ensemble: build %s: %w\n%s", target, err, out)
	}
	if built.binary == nil {
		built.binary = make(map[Target]string)
	}
	built.binary[target] = path
	return path, nil
}

// ClassPath returns the class path of the Java suites and of ZooKeeper's server, or an error that says how to get it.
func ClassPath() (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	lib := filepath.Join(cache, "java", "lib")
	if jars, _ := filepath.Glob(filepath.Join(lib, "zookeeper-*.jar")); len(jars) == 0 {
		return "", fmt.Errorf("ensemble: no libraries in %s: run `make e2e-deps`", lib)
	}
	return strings.Join([]string{filepath.Join(cache, "java", "classes"), filepath.Join(lib, "*")}, string(os.PathListSeparator)), nil
}
