package wire

import (
	"encoding/hex"
	"testing"
)

func TestLengthFitsOrFails(t *testing.T) {
	b := make([]byte, FrameHeaderSize)
	if err := putLength(b, MaxFrame); err != nil || hex.EncodeToString(b) != "7fffffff" {
		t.Errorf("%v, %x", err, b)
	}
	if err := putLength(b, MaxFrame+1); err != ErrFrameTooLong || hex.EncodeToString(b) != "7fffffff" {
		t.Errorf("%v, %x", err, b)
	}
}
