package sasl

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// A JAAS file (javax.security.auth.login.Configuration) is what ZooKeeper's servers and clients are configured by:
//
//	Server {
//	    org.apache.zookeeper.server.auth.DigestLoginModule required
//	    user_super="secret"
//	    user_bob="another";
//	};

// Login is a module of a JAAS section with its options.
type Login struct {
	Module  string // the class's full name
	Flag    string // required, requisite, sufficient or optional
	Options map[string]string
}

// The modules that ZooKeeper's servers have a use for.
const (
	moduleDigest = "DigestLoginModule"
	moduleKrb5   = "Krb5LoginModule"
)

// IsDigest and IsKrb5 say which of ZooKeeper's two modules it is; vendors have packages of their own.
func (l *Login) IsDigest() bool { return strings.HasSuffix(l.Module, "."+moduleDigest) }

// IsKrb5 says whether the module is Kerberos's.
func (l *Login) IsKrb5() bool { return strings.HasSuffix(l.Module, "."+moduleKrb5) }

// Option is an option's value, whatever the case of its name; "" if it is not there.
func (l *Login) Option(name string) string {
	for k, v := range l.Options {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// userPrefix is what an option that is a user and its password begins with (ServerCnxnFactory.getDigestMd5Credentials).
const userPrefix = "user_"

// AddTo adds the module's users.
func (l *Login) AddTo(users *Users) error {
	names := make([]string, 0, len(l.Options))
	for k := range l.Options {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		name, ok := strings.CutPrefix(k, userPrefix)
		if !ok {
			continue
		}
		if err := users.SetPassword(name, l.Options[k]); err != nil {
			return err
		}
	}
	return nil
}

// ParseJAAS reads a JAAS file: the modules of each section. An error names the line and what was expected there, never what an option holds.
func ParseJAAS(text []byte) (map[string][]Login, error) {
	if len(text) > MaxFileBytes || !utf8.Valid(text) {
		return nil, fmt.Errorf("a JAAS file has to be UTF-8 and no longer than %d bytes", MaxFileBytes)
	}
	p := jaas{text: string(text), line: 1}
	sections := make(map[string][]Login)
	modules := 0
	for {
		name, err := p.next()
		if err != nil || name.kind == tokenEnd {
			return sections, err
		}
		if name.kind == tokenSign {
			return nil, p.expected("the name of a section")
		}
		if _, twice := sections[name.text]; twice {
			return nil, fmt.Errorf("line %d: the section %q is there twice", p.line, short(name.text))
		}
		logins, err := p.section()
		if err != nil {
			return nil, err
		}
		if modules += len(logins) + 1; modules > maxEntries {
			return nil, fmt.Errorf("line %d: more than %d sections and modules", p.line, maxEntries)
		}
		sections[name.text] = logins
	}
}

// jaas is the state of a parse.
type jaas struct {
	text string // what is left
	line int
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted
	tokenSign // one of { } ; =
)

type token struct {
	kind tokenKind
	text string
}

func (p *jaas) expected(what string) error { return fmt.Errorf("line %d: expected %s", p.line, what) }

// section reads { module flag options ; … } ;
func (p *jaas) section() ([]Login, error) {
	if err := p.sign("{"); err != nil {
		return nil, err
	}
	var logins []Login
	for {
		t, err := p.next()
		switch {
		case err != nil:
			return nil, err
		case t == (token{tokenSign, "}"}):
			if len(logins) == 0 {
				return nil, p.expected("a module in the section")
			}
			return logins, p.sign(";")
		case t.kind != tokenWord && t.kind != tokenQuoted:
			return nil, p.expected("the class of a module, or }")
		case len(logins) >= maxEntries:
			return nil, fmt.Errorf("line %d: more than %d modules", p.line, maxEntries)
		}
		l := Login{Module: t.text, Options: make(map[string]string)}
		if err := p.module(&l); err != nil {
			return nil, err
		}
		logins = append(logins, l)
	}
}

// module reads what comes behind the class: flag option=value … ;
func (p *jaas) module(l *Login) error {
	flag, err := p.next()
	if err != nil {
		return err
	}
	l.Flag = strings.ToLower(flag.text)
	if l.Flag != "required" && l.Flag != "requisite" && l.Flag != "sufficient" && l.Flag != "optional" {
		return p.expected("required, requisite, sufficient or optional behind the class of a module")
	}
	for {
		key, err := p.next()
		switch {
		case err != nil:
			return err
		case key == (token{tokenSign, ";"}):
			return nil
		case key.kind != tokenWord && key.kind != tokenQuoted:
			return p.expected("an option, or ; behind the last one")
		case len(l.Options) >= maxOptions:
			return fmt.Errorf("line %d: more than %d options", p.line, maxOptions)
		}
		if err := p.sign("="); err != nil {
			return err
		}
		value, err := p.next()
		switch {
		case err != nil:
			return err
		case value.kind != tokenWord && value.kind != tokenQuoted:
			return p.expected("the value of an option")
		case strings.Contains(value.text, "${"):
			return fmt.Errorf("line %d: the value of option %q has a ${property}, which this server does not replace; write the value", p.line, short(key.text))
		}
		if _, twice := l.Options[key.text]; twice {
			return fmt.Errorf("line %d: the option %q is there twice", p.line, short(key.text))
		}
		l.Options[key.text] = value.text
	}
}

func (p *jaas) sign(s string) error {
	t, err := p.next()
	if err == nil && t != (token{tokenSign, s}) {
		err = p.expected(s)
	}
	return err
}

// next reads a token, behind spaces and comments.
func (p *jaas) next() (token, error) {
	if err := p.skip(); err != nil || p.text == "" {
		return token{}, err
	}
	switch c := p.text[0]; c {
	case '{', '}', ';', '=':
		p.text = p.text[1:]
		return token{tokenSign, string(c)}, nil
	case '"', '\'':
		return p.quoted(c)
	}
	n := strings.IndexAny(p.text, " \t\r\n\f{};=\"'")
	if n < 0 {
		n = len(p.text)
	}
	t := token{tokenWord, p.text[:n]}
	p.text = p.text[n:]
	return t, nil
}

// skip leaves out spaces, // comments, # comments and /* comments */.
func (p *jaas) skip() error {
	for p.text != "" {
		switch {
		case p.text[0] == '\n':
			p.line++
			p.text = p.text[1:]
		case strings.IndexByte(" \t\r\f", p.text[0]) >= 0:
			p.text = p.text[1:]
		case p.text[0] == '#' || strings.HasPrefix(p.text, "//"):
			_, rest, ok := strings.Cut(p.text, "\n")
			if p.text = rest; ok {
				p.line++
			}
		case strings.HasPrefix(p.text, "/*"):
			comment, rest, ok := strings.Cut(p.text[2:], "*/")
			if !ok {
				return p.expected("*/ at the end of a comment")
			}
			p.line += strings.Count(comment, "\n")
			p.text = rest
		default:
			return nil
		}
	}
	return nil
}

var errQuote = errors.New("a string without its closing quote, or with the end of the line in it")

// quoted reads a string, with Java's escapes.
func (p *jaas) quoted(quote byte) (token, error) {
	var b strings.Builder
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == quote:
			p.text = p.text[i+1:]
			return token{tokenQuoted, b.String()}, nil
		case c == '\n' || c == '\r':
			return token{}, fmt.Errorf("line %d: %w", p.line, errQuote)
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(unescaped(p.text[i]))
		default:
			b.WriteByte(c)
		}
	}
	return token{}, fmt.Errorf("line %d: %w", p.line, errQuote)
}

// unescaped is the byte behind a backslash (java.io.StreamTokenizer).
func unescaped(c byte) byte {
	if at := strings.IndexByte("abfnrtv", c); at >= 0 {
		return "\a\b\f\n\r\t\v"[at]
	}
	return c
}
