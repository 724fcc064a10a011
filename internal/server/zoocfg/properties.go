package zoocfg

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// property is a line of a properties file.
type property struct {
	line       int // where it starts, from 1
	key, value string
}

// properties reads Java's properties format: "key=value", "key: value" or "key value"; # and ! start comments; a backslash at
// the end continues a line and elsewhere escapes a character.
func properties(text string) []property {
	var all []property
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		start := i
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for isContinued(line) {
			line = line[:len(line)-1]
			if i++; i == len(lines) {
				break
			}
			line += strings.TrimLeft(lines[i], " \t\f")
		}
		key, value := splitProperty(line)
		all = append(all, property{start + 1, strings.TrimSpace(unescape(key)), strings.TrimSpace(unescape(value))})
	}
	return all
}

// isContinued says whether a line ends in an odd number of backslashes.
func isContinued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty cuts a line at the first separator that is not escaped.
func splitProperty(line string) (key, value string) {
	i := 0
	for i < len(line) && !strings.ContainsRune("=: \t\f", rune(line[i])) {
		if line[i] == '\\' {
			i++
		}
		i++
	}
	i = min(i, len(line))
	key, value = line[:i], strings.TrimLeft(line[i:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return key, value
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			if s[i] != '\\' {
				b.WriteByte(s[i])
			}
			continue
		}
		i++
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			n, err := strconv.ParseUint(s[i+1:min(i+5, len(s))], 16, 16)
			if err != nil || i+5 > len(s) {
				b.WriteByte('u')
				continue
			}
			b.Write(utf8.AppendRune(nil, rune(n)))
			i += 4
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
