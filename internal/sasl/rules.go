package sasl

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Rules are those of security.auth_to_local: the first one that fits a principal says what it is called (KerberosName).
//
//	DEFAULT                          the first part, of a principal of the server's realm
//	RULE:[N:FORMAT](MATCH)s/FROM/TO/g
//
// A rule fits principals of N parts, not counting the realm, for which FORMAT, with $0 for the realm, $1 and $2 for the parts, gives something that all of MATCH
// matches. What is called so is the format, with FROM replaced by TO: the first time, or with g always. MATCH, FROM and TO may be missing.
//
// The zero value has no rules; DEFAULT stands for it.
type Rules []rule

type rule struct {
	text        string
	isDefault   bool
	parts       int
	format      string
	match, from *regexp.Regexp // nil: anything; nothing to replace
	to          []toPart
	global      bool
}

// toPart is a piece of TO: text, or what a group has matched.
type toPart struct {
	text  string
	group int // 0: text. Java's $0 is group 1 here, and so on
}

var ruleSyntax = regexp.MustCompile(`^\s*(?:(DEFAULT)|RULE:\[(\d*):([^\]]*)\](?:\(([^)]*)\))?(?:s/([^/]*)/([^/]*)/(g)?)?)`)

// maxRules bounds the rules of a configuration.
const maxRules = 1000

// ParseRules reads rules, with white space between them or not.
func ParseRules(text string) (Rules, error) {
	var all Rules
	for rest := strings.TrimSpace(text); rest != ""; {
		at := ruleSyntax.FindStringSubmatchIndex(rest)
		if at == nil {
			return nil, fmt.Errorf("%q is no rule; rules are DEFAULT and RULE:[N:FORMAT](MATCH)s/FROM/TO/g", rest)
		}
		r, err := parseRule(rest, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSpace(rest[:at[1]]), err)
		}
		if all = append(all, r); len(all) > maxRules {
			return nil, fmt.Errorf("there are more than %d rules", maxRules)
		}
		rest = strings.TrimSpace(rest[at[1]:])
	}
	return all, nil
}

func parseRule(s string, at []int) (r rule, err error) {
	group := func(i int) (string, bool) {
		if at[2*i] < 0 {
			return "", false
		}
		return s[at[2*i]:at[2*i+1]], true
	}
	r.text = strings.TrimSpace(s[:at[1]])
	if _, r.isDefault = group(1); r.isDefault {
		return r, nil
	}
	parts, _ := group(2)
	if r.parts, err = strconv.Atoi(parts); err != nil || r.parts < 1 || r.parts > 2 {
		return r, fmt.Errorf("%q is not how many parts a principal has; give 1 or 2", parts)
	}
	r.format, _ = group(3)
	if err := r.checkFormat(); err != nil {
		return r, err
	}
	if match, ok := group(4); ok {
		if r.match, err = regexp.Compile(`^(?:` + match + `)$`); err != nil {
			return r, fmt.Errorf("the pattern %q cannot be used: %w", match, err)
		}
	}
	if from, ok := group(5); ok {
		if r.from, err = regexp.Compile(from); err != nil {
			return r, fmt.Errorf("the pattern %q cannot be used: %w", from, err)
		}
		to, _ := group(6)
		if r.to, err = parseReplacement(to, r.from.NumSubexp()); err != nil {
			return r, err
		}
		_, r.global = group(7)
	}
	return r, nil
}

var parameter = regexp.MustCompile(`\$(\d*)`)

func (r *rule) checkFormat() error {
	for _, m := range parameter.FindAllStringSubmatch(r.format, -1) {
		if n, err := strconv.Atoi(m[1]); m[1] != "" && (err != nil || n > r.parts) {
			return fmt.Errorf("%s in [%d:%s] is beyond the parts of a principal that it is about", m[0], r.parts, r.format)
		}
	}
	return nil
}

// parseReplacement reads TO as java.util.regex.Matcher does: $n is a group, as many digits as there is a group for, and \ makes what follows it plain.
func parseReplacement(to string, groups int) (all []toPart, err error) {
	text := func(s string) { all = append(all, toPart{text: s}) }
	for i := 0; i < len(to); i++ {
		switch to[i] {
		case '\\':
			if i++; i == len(to) {
				return nil, fmt.Errorf(`the replacement %q ends with \`, to)
			}
			text(to[i : i+1])
		case '$':
			n, digits := 0, 0
			for j := i + 1; j < len(to) && to[j] >= '0' && to[j] <= '9'; j++ {
				next := n*10 + int(to[j]-'0')
				if digits > 0 && next > groups {
					break
				}
				n, digits = next, digits+1
			}
			if digits == 0 || n > groups {
				return nil, fmt.Errorf("the replacement %q means a group that there is not; there are %d", to, groups)
			}
			all = append(all, toPart{group: n + 1})
			i += digits
		default:
			text(to[i : i+1])
		}
	}
	return all, nil
}

// shorten is what the first rule that fits calls a principal. ok is false if none does, or if it gives a name with / or @.
func (all Rules) shorten(params []string, realm string) (name string, ok bool) {
	if len(all) == 0 {
		all = Rules{{isDefault: true}}
	}
	for i := range all {
		if name, ok = all[i].apply(params, realm); ok {
			return name, !strings.ContainsAny(name, "/@")
		}
	}
	return "", false
}

// apply is one rule: params are the realm and the parts.
func (r *rule) apply(params []string, realm string) (name string, ok bool) {
	if r.isDefault {
		return params[1], params[0] == realm
	}
	if len(params)-1 != r.parts {
		return "", false
	}
	name = parameter.ReplaceAllStringFunc(r.format, func(p string) string {
		if n, err := strconv.Atoi(p[1:]); err == nil {
			return params[n]
		}
		return ""
	})
	if r.match != nil && !r.match.MatchString(name) {
		return "", false
	}
	if r.from != nil {
		name = r.replace(name)
	}
	return name, true
}

func (r *rule) replace(s string) string {
	limit := 1
	if r.global {
		limit = -1
	}
	var b strings.Builder
	end := 0
	for _, m := range r.from.FindAllStringSubmatchIndex(s, limit) {
		b.WriteString(s[end:m[0]])
		for _, p := range r.to {
			if p.group == 0 {
				b.WriteString(p.text)
			} else if g := p.group - 1; m[2*g] >= 0 {
				b.WriteString(s[m[2*g]:m[2*g+1]])
			}
		}
		end = m[1]
	}
	b.WriteString(s[end:])
	return b.String()
}

// String is the rules as they were given.
func (all Rules) String() string {
	var texts []string
	for i := range all {
		texts = append(texts, all[i].text)
	}
	return strings.Join(texts, " ")
}
