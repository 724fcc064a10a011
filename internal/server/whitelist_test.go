package server

import "testing"

func TestAllowedWords(t *testing.T) {
	for _, c := range []struct {
		list     []string
		readOnly bool
		word     string
		want     bool
	}{
		{nil, false, "srvr", true},
		{nil, false, "isro", false},
		{[]string{"stat"}, false, "isro", false},
		{[]string{"stat"}, true, "isro", true},
		{[]string{"isro"}, false, "isro", true},
		{[]string{"*"}, false, "isro", true},
		{[]string{"*"}, true, "wchp", true},
		{[]string{"stat"}, true, "wchp", false},
	} {
		if got := allowedWords(c.list, c.readOnly)[c.word]; got != c.want {
			t.Errorf("%s with the list %q, read-only mode %v: %v, want %v", c.word, c.list, c.readOnly, got, c.want)
		}
	}
}
