package zoocfg

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// zooKeeperKeys are the keys of testdata/zookeeper-3.9.5.keys.
func zooKeeperKeys(t *testing.T) (keys []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/zookeeper-3.9.5.keys")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if len(keys) < 200 {
		t.Fatalf("only %d keys", len(keys))
	}
	return keys
}

// TestEveryKey: every key of ZooKeeper has a meaning here, or a reason why it has none, and not both.
func TestEveryKey(t *testing.T) {
	known := zooKeeperKeys(t)
	for _, key := range known {
		_, honoured := keyOf(key)
		if honoured && (meaningless[key] != "" || pending[key]) && key != "initLimit" && key != "syncLimit" {
			t.Errorf("%s has a meaning in keys and is still in meaningless or pending", key)
		}
		if meaningless[key] != "" && pending[key] {
			t.Errorf("%s is in meaningless and in pending", key)
		}
		c := &Config{}
		if bad := c.set(property{1, "zookeeper." + key, "\x00"}, false); bad == "" && len(c.Unknown) > 0 {
			t.Errorf("%s is unknown", key)
		}
	}
	for key := range meaningless {
		if !slices.Contains(known, key) {
			t.Errorf("%s is in meaningless, but it is no key of ZooKeeper", key)
		}
	}
	for key := range pending {
		if !slices.Contains(known, key) {
			t.Errorf("%s is in pending, but it is no key of ZooKeeper", key)
		}
	}
}

func TestWhy(t *testing.T) {
	for key, want := range map[string]string{
		"preAllocSize":           "preAllocSize has no meaning here: " + whyDisk,
		"zookeeper.preAllocSize": "zookeeper.preAllocSize has no meaning here: " + whyDisk,
		"quorum.auth.no.such":    "quorum.auth.no.such is not supported yet, so it does nothing",
	} {
		c := &Config{}
		if bad := c.set(property{1, key, "1"}, false); bad != "" || !slices.Equal(c.Ignored, []string{key}) || Why(key) != want {
			t.Errorf("%s: %q, %q, %q", key, bad, c.Ignored, Why(key))
		}
	}
}
