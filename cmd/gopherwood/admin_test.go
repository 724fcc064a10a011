package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestMetricsPort: metricsProvider.httpPort is plain and asks nobody who they are, so it has the metrics and nothing that an operator may ask for.
func TestMetricsPort(t *testing.T) {
	client, metrics := unusedPort(t), unusedPort(t)
	file := zooCfg(t, "metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort="+metrics, "")
	stopAtEnd(t, launch(t, "serve", "--log-level", "error", "--client-address", "127.0.0.1", "--client-port", client, "--data-dir", t.TempDir(), "--admin-port", "0", "--config", file))
	awaitMode(t, "127.0.0.1:"+client)
	for path, want := range map[string]string{"/metrics": "200", "/commands/restore": "404", "/commands/snapshot": "404", "/replica/status": "404", "/": "404"} {
		if got, _ := fetch(t, http.DefaultClient, "http://127.0.0.1:"+metrics+path, "ip x"); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
