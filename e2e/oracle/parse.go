package oracle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopherwood/zk"
)

// Parse reads a script. Lines that are empty or begin with "#" count for nothing.
func Parse(script string) ([]Step, error) {
	var steps []Step
	n := 0
	for line := range strings.Lines(script) {
		n++
		text := strings.TrimRight(line, " \r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		words, err := split(text)
		if err == nil {
			err = add(&steps, words, text[0] == ' ')
		}
		if err != nil {
			return nil, fmt.Errorf("oracle: line %d: %w", n, err)
		}
	}
	return steps, nil
}

func add(steps *[]Step, words []string, member bool) error {
	if member {
		if len(*steps) == 0 {
			return errors.New("a member without a multi")
		}
		s, err := parseStep("", words)
		last := &(*steps)[len(*steps)-1]
		last.Members = append(last.Members, s)
		return err
	}
	if len(words) < 2 {
		return errors.New("no verb")
	}
	s, err := parseStep(words[0], words[1:])
	*steps = append(*steps, s)
	return err
}

// split cuts a line at its spaces, save those in quotes, and takes the quotes away.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return words, nil
		}
		word := ""
		for line != "" && line[0] != ' ' {
			if line[0] != '"' {
				word, line = word+line[:1], line[1:]
				continue
			}
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("no end of a quoted string: %s", line)
			}
			v, err := strconv.Unquote(q)
			if err != nil {
				return nil, err
			}
			word, line = word+v, line[len(q):]
		}
		words = append(words, word)
	}
}

func parseStep(client string, words []string) (Step, error) {
	s := Step{Client: client, Verb: words[0], Data: []byte{}, ACL: anyone, Version: -1}
	words = words[1:]
	if s.hasPath() {
		if len(words) == 0 {
			return s, fmt.Errorf("%s without a path", s.Verb)
		}
		s.Path, words = words[0], words[1:]
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok && w != "watch" {
			return s, fmt.Errorf("%q is no key=value", w)
		}
		if err := s.set(key, value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// set takes one key=value of a line.
func (s *Step) set(key, value string) error {
	if i := slices.Index(listKeys[:], key); i >= 0 && s.isSetWatches() {
		s.Paths[i] = strings.Split(value, ",")
		return nil
	}
	text := map[string]*string{"rel": &s.Rel, "scheme": &s.Scheme, "id": &s.ID, "chroot": &s.Chroot}
	if to, ok := text[key]; ok {
		*to = value
		return nil
	}
	number := map[string]*int32{"flags": &s.Flags, "version": &s.Version, "mode": &s.Mode, "code": &s.Code, "timeout": &s.Timeout}
	if to, ok := number[key]; ok {
		n, err := strconv.ParseInt(value, 10, 32)
		*to = int32(n)
		return err
	}
	var err error
	switch key {
	case "watch":
		s.Watch = true
	case "data":
		if s.Data = []byte(value); value == "null" {
			s.Data = nil
		}
	case "fill":
		s.Fill, err = strconv.Atoi(value)
	case "ttl":
		s.TTL, err = strconv.ParseInt(value, 10, 64)
	case "body":
		s.Body, err = hex.DecodeString(value)
	case "acl":
		s.ACL, err = parseACL(value)
	default:
		err = fmt.Errorf("unknown key %q", key)
	}
	return err
}

func parseACL(list string) ([]zk.ACL, error) {
	if list == "null" {
		return nil, nil
	}
	acl := []zk.ACL{}
	if list == "" {
		return acl, nil
	}
	for entry := range strings.SplitSeq(list, ",") {
		f := strings.SplitN(entry, ":", 3)
		if len(f) != 3 {
			return nil, fmt.Errorf("ACL entry %q is not perms:scheme:id", entry)
		}
		perms, err := strconv.ParseInt(f[0], 10, 32)
		if err != nil {
			return nil, err
		}
		acl = append(acl, zk.ACL{Perms: zk.Perms(perms), ID: zk.ID{Scheme: f[1], ID: f[2]}})
	}
	return acl, nil
}
