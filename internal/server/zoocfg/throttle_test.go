package zoocfg

import (
	"errors"
	"testing"
)

func TestThrottleMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"enforceQuota=1":                                   ":1: enforceQuota=1 is neither true nor false; give one of them",
		"connection_throttle_tokens=-1":                    ":1: connection_throttle_tokens=-1 is not a number of tokens, 0 for no limit; give one from 0 to 16777216",
		"connection_throttle_fill_time=0":                  ":1: connection_throttle_fill_time=0 is not a number in milliseconds; give one from 1 to 16777216",
		"connection_throttle_drop_increase=0":              ":1: connection_throttle_drop_increase=0 is not a share; give a number above 0 and up to 1, such as 0.02",
		"zookeeper.connection_throttle_decrease_ratio=NaN": ":1: zookeeper.connection_throttle_decrease_ratio=NaN is not a share; give a number from 0 to 1, such as 0.5",
		"connection_throttle_global_session_weight=0":      ":1: connection_throttle_global_session_weight=0 is not a number of tokens; give one from 1 to 1000",
		"globalOutstandingLimit=0":                         ":1: globalOutstandingLimit=0 is not a number of requests; give one from 1 to 2147483647",
		"request_throttle_max_requests=many":               ":1: request_throttle_max_requests=many is not a number of requests, 0 for no limit; give one from 0 to 2147483647",
		"throttled_op_wait_time=-5":                        ":1: throttled_op_wait_time=-5 is not a number in milliseconds, 0 for no limit; give one from 0 to 2147483647",
		"largeRequestMaxBytes=0":                           ":1: largeRequestMaxBytes=0 is not a number of bytes; give one from 1 to 2147483647",
		"largeRequestThreshold=-2":                         ":1: largeRequestThreshold=-2 is not a number of bytes, -1 for none; give one from -1 to 2147483647",
		"maxClientCnxns=-1":                                ":1: maxClientCnxns=-1 is not a number of connections per address, 0 for no limit; give one from 0 to 2147483647",
	} {
		file := write(t, text)
		_, err := Load(file)
		var e *Error
		if !errors.As(err, &e) || err.Error() != file+want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, file+want)
		}
	}
}

func TestThrottleKeys(t *testing.T) {
	c, err := Load(write(t, `enforceQuota=true
zookeeper.connection_throttle_tokens=100
connection_throttle_freeze_time=-1
connection_throttle_drop_increase=0.5
connection_throttle_weight_enabled=true
globalOutstandingLimit=500
request_throttle_max_requests=20
throttled_op_wait_time=300
largeRequestThreshold=-1
largeRequestMaxBytes=1000000
request_throttle_stall_time=5`))
	if err != nil {
		t.Fatal(err)
	}
	want := Throttle{Tokens: 100, DropIncrease: 0.5, Weighted: true, GlobalOutstanding: 500, MaxRequests: 20, OpWaitMs: 300, LargeMaxBytes: 1_000_000}
	if !c.EnforceQuota || c.Throttle != want || len(c.Ignored) != 1 || len(c.Unknown) != 0 {
		t.Errorf("%v, %+v, ignored %v, unknown %v", c.EnforceQuota, c.Throttle, c.Ignored, c.Unknown)
	}
}
