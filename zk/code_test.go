package zk_test

import (
	"errors"
	"fmt"
	"testing"

	"gopherwood/zk"
)

func TestCode(t *testing.T) {
	if err := zk.OK.Err(); err != nil {
		t.Errorf("OK is an error: %v", err)
	}
	err := fmt.Errorf("get /a: %w", zk.ErrNoNode.Err())
	if !errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrNodeExists) {
		t.Errorf("%v is not what it wraps", err)
	}
	var code zk.Code
	if !errors.As(err, &code) || code != -101 {
		t.Errorf("code %d", code)
	}
	if got := zk.ErrNoNode.Error(); got != "zk: node does not exist" {
		t.Error(got)
	}
	if got := zk.Code(-999).String(); got != "code -999" {
		t.Error(got)
	}
}

func TestCreateMode(t *testing.T) {
	type is struct{ valid, ephemeral, sequential, ttl bool }
	for mode, want := range map[zk.CreateMode]is{
		-1:                          {},
		zk.ModePersistent:           {valid: true},
		zk.ModeEphemeral:            {valid: true, ephemeral: true},
		zk.ModePersistentSequential: {valid: true, sequential: true},
		zk.ModeEphemeralSequential:  {valid: true, ephemeral: true, sequential: true},
		zk.ModeContainer:            {valid: true},
		zk.ModeTTL:                  {valid: true, ttl: true},
		zk.ModeTTLSequential:        {valid: true, ttl: true, sequential: true},
		7:                           {},
	} {
		if got := (is{mode.IsValid(), mode.IsEphemeral(), mode.IsSequential(), mode.IsTTL()}); got != want {
			t.Errorf("mode %d: %+v, want %+v", mode, got, want)
		}
	}
}
