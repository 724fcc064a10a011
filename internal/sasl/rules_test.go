package sasl

import (
	"strings"
	"testing"
)

// TestRules: what ZooKeeper's KerberosName makes of principals. The names are shortened wholly, so that the rules alone decide.
func TestRules(t *testing.T) {
	const hadoop = `RULE:[2:$1;$2@$0](hbase;.*@R)s/^.*$/hbase/
		RULE:[2:$1;$2@$0]([rn]m;.*@R)s/^.*$/yarn/
		RULE:[1:$1@$0](.*@OTHER)s/@.*//
		DEFAULT`
	for _, tc := range []struct{ rules, from, want string }{
		{"", "bob@R", "bob"},
		{"DEFAULT", "bob/h@R", "bob"},
		{"DEFAULT", "bob@OTHER", "bob@OTHER"},
		{hadoop, "hbase/host@R", "hbase"},
		{hadoop, "rm/host@R", "yarn"},
		{hadoop, "nm/host@R", "yarn"},
		{hadoop, "hbase/host@OTHER", "hbase/host@OTHER"},
		{hadoop, "bob@OTHER", "bob"},
		{hadoop, "bob@R", "bob"},
		{hadoop, "bob@THIRD", "bob@THIRD"},
		{hadoop, "bob", "bob"},
		{"RULE:[1:$1]", "bob@ANY", "bob"},
		{"RULE:[1:$1]", "bob/h@ANY", "bob/h@ANY"}, // has two parts
		{"RULE:[2:$1]RULE:[1:x$1]", "bob@ANY", "xbob"},
		{"RULE:[1:$1](b.)", "bob@R", "bob@R"}, // all of it has to match
		{"RULE:[1:$1](b..)", "bob@R", "bob"},
		{"RULE:[1:$1]s/b/p/", "bob@R", "pob"},
		{"RULE:[1:$1]s/b/p/g", "bob@R", "pop"},
		{"RULE:[1:$1]s/(b)(o)/$2$1$0/", "bob@R", "obbob"},
		{"RULE:[1:$1]s/(b)/$12/", "bob@R", "b2ob"}, // there is no group 12
		{`RULE:[1:$1]s/b/\$1/g`, "bob@R", "$1o$1"},
		{"RULE:[1:$1@$0]", "bob@R", "bob@R"},            // no simple name: none
		{"RULE:[1:$1@$0]RULE:[1:$1]", "bob@R", "bob@R"}, // and no further rule is asked
		{"RULE:[2:$2.$1]", "bob/h@R", "h.bob"},
		{"RULE:[1:$]", "bob@R", ""},
		{"DEFAULT", "a/b/c@R", "a/b/c@R"}, // no principal of ours
		{"DEFAULT", "a@b@R", "a@b@R"},
	} {
		rules, err := ParseRules(tc.rules)
		if err != nil {
			t.Errorf("%s: %v", tc.rules, err)
			continue
		}
		if got := (Names{Realm: "R", RemoveHost: true, RemoveRealm: true, Rules: rules}).Of(tc.from); got != tc.want {
			t.Errorf("%s calls %s %q, want %q", tc.rules, tc.from, got, tc.want)
		}
	}
	rules, err := ParseRules("RULE:[2:$1](hbase)s/hbase/hb/ DEFAULT")
	if err != nil {
		t.Fatal(err)
	}
	if got := (Names{Realm: "R", Rules: rules}).Of("hbase/host@R"); got != "hb/host@R" { // ZooKeeper puts back what is not to be removed
		t.Errorf("got %s", got)
	}
	if got := rules.String(); got != "RULE:[2:$1](hbase)s/hbase/hb/ DEFAULT" {
		t.Errorf("got %s", got)
	}
}

func TestRuleMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"nonsense":                       "is no rule",
		"DEFAULT nonsense":               "is no rule",
		"RULE:[:$1]":                     "give 1 or 2",
		"RULE:[3:$1]":                    "give 1 or 2",
		"RULE:[1:$2]":                    "beyond the parts",
		"RULE:[1:$99999999999999999999]": "beyond the parts",
		"RULE:[1:$1]([)":                 "cannot be used",
		"RULE:[1:$1]s/(?=a)/b/":          "cannot be used",
		"RULE:[1:$1]s/a/$1/":             "there are 0",
		"RULE:[1:$1]s/a/$/":              "a group that there is not",
		`RULE:[1:$1]s/a/\/`:              `ends with \`,
		strings.Repeat("DEFAULT ", 1001): "more than 1000 rules",
	} {
		if _, err := ParseRules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

// FuzzRules: no rules and no principal make anything panic.
func FuzzRules(f *testing.F) {
	f.Add("RULE:[2:$1;$2@$0](h.*)s/(a)/$1\\$/g DEFAULT", "hbase/a@R")
	f.Fuzz(func(t *testing.T, text, principal string) {
		rules, err := ParseRules(text)
		if err != nil {
			return
		}
		if _, err := ParseRules(rules.String()); err != nil {
			t.Fatalf("%q became %q: %v", text, rules, err)
		}
		Names{Realm: "R", Rules: rules}.Of(principal)
	})
}
