package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gopherwood/e2e/internal/ensemble"
)

// clients are the suites that every ensemble has to pass, each by a client that real users have.
var clients = []struct {
	name string
	run  func(t *testing.T, connect string)
}{
	{"java", javaClient},
	{"curator", curator},
	{"shell", shell},
	{"kazoo", kazoo},
	{"go", goZookeeper},
	{"c", cClient},
}

// TestClients runs every client suite against one server and against three, or against those named by the environment.
func TestClients(t *testing.T) {
	need(t)
	if connect := os.Getenv("GOPHERWOOD_E2E_CONNECT"); connect != "" {
		runClients(t, connect)
		return
	}
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("servers=%d", servers), func(t *testing.T) {
			build := target()
			if build == ensemble.Gopherwood && servers > 1 {
				build = ensemble.GopherwoodRace // as much work under the race detector as without it
			}
			e := ensemble.Start(t, ensemble.Options{Target: build, Servers: servers})
			runClients(t, e.Connect())
			for _, s := range e.Servers {
				if !s.Running() {
					t.Errorf("server %d ended with code %d during the suites", s.ID, s.ExitCode())
				}
			}
		})
	}
}

func runClients(t *testing.T, connect string) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) { c.run(t, connect) })
	}
}

// javaCommand is a suite's main class with the options that all suites take.
func javaCommand(t *testing.T, class, connect string) *exec.Cmd {
	t.Helper()
	classPath, err := ensemble.ClassPath()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(suiteContext(t), "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", classPath,
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", class, "--connect", connect, "--root", suiteRoot(t))
}

// run tells one run from another on servers that live longer.
var run = fmt.Sprintf("%x", time.Now().UnixMilli())

// suiteRoot is a folder of znodes that no other suite uses.
func suiteRoot(t *testing.T) string {
	return "/e2e-" + run + "-" + strings.NewReplacer("/", "-", "=", "").Replace(t.Name())
}

func javaClient(t *testing.T, connect string) {
	runSuite(t, javaCommand(t, "gopherwood.ClientSuite", connect))
}

func curator(t *testing.T, connect string) {
	runSuite(t, javaCommand(t, "gopherwood.CuratorSuite", connect))
}
