package zk

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Root is the path of the root node.
const Root = "/"

// PathError says what is wrong with a path. errors.Is finds ErrBadArguments in it, the code with which a server answers
// such a path.
type PathError struct {
	Path   string
	Reason string
	Offset int // byte of Path at which the reason was found
}

// Error is the reason, the place and the quoted path.
func (e *PathError) Error() string {
	return fmt.Sprintf("zk: bad path %q: %s at byte %d", e.Path, e.Reason, e.Offset)
}

// Unwrap is ErrBadArguments.
func (e *PathError) Unwrap() error { return ErrBadArguments }

// ValidatePath says whether a znode may have this path, by the rules of ZooKeeper's PathUtils.validatePath: absolute; no
// slash at the end but for the root; no element that is empty, "." or ".."; no character that isAllowed refuses. Bytes that
// are not UTF-8 are refused, since ZooKeeper reads U+FFFD in their place. The error is a *PathError. It allocates only for that.
func ValidatePath(path string) error {
	if path == Root {
		return nil
	}
	last, err := validateElements(path)
	if err != nil {
		return err
	}
	if reason := badElement(path[last:]); reason != "" {
		return &PathError{Path: path, Reason: reason, Offset: last}
	}
	return nil
}

// ValidateSequentialPath is ValidatePath for the path of a create request whose mode is sequential: what counts is the path
// with its sequence number appended, so "/a/" and "/a/." are good.
func ValidateSequentialPath(path string) error {
	_, err := validateElements(path)
	return err
}

// validateElements checks all of path but its last element's name, and is the offset at which that element starts.
func validateElements(path string) (last int, err error) {
	if path == "" || path[0] != '/' {
		return 0, &PathError{Path: path, Reason: "no slash at the start"}
	}
	last = 1
	for i := 1; i < len(path); {
		c := path[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(path[i:])
			if !isAllowed(r) {
				return 0, &PathError{Path: path, Reason: "character not allowed", Offset: i}
			}
			i += size
			continue
		}
		if c == '/' {
			if reason := badElement(path[last:i]); reason != "" {
				return 0, &PathError{Path: path, Reason: reason, Offset: last}
			}
			last = i + 1
		} else if c < 0x20 || c == 0x7f {
			return 0, &PathError{Path: path, Reason: "control character", Offset: i}
		}
		i++
	}
	return last, nil
}

// badElement is why a complete element may not stand between two slashes, or "".
func badElement(name string) string {
	switch name {
	case "":
		return "empty element"
	case ".", "..":
		return "relative element"
	}
	return ""
}

// isAllowed decides on a character outside ASCII. ZooKeeper looks at UTF-16 units, and refuses surrogates: so everything
// above U+FFFF goes too. utf8.RuneError lies in the last range.
func isAllowed(r rune) bool {
	switch {
	case r <= 0x9f: // C1 controls
		return false
	case r >= 0xd800 && r <= 0xf8ff: // surrogates, private use
		return false
	case r >= 0xfff0: // specials, and what UTF-16 writes as a pair
		return false
	}
	return true
}

// Parent is the path of the node above: "/a" for "/a/b", "/" for "/a" and for the root itself. The path must be valid. The
// result aliases it.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return Root
}

// Base is a node's name within its parent: "b" for "/a/b", "" for the root. The result aliases path.
func Base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Join is the path of the child called name below parent. Neither is checked.
func Join(parent, name string) string {
	if parent == Root {
		return Root + name
	}
	return parent + "/" + name
}

// AppendSequence appends the number of a sequential node as its name carries it: at least ten characters, padded with zeros,
// the sign of an overflown counter among them (Java's "%010d").
func AppendSequence(b []byte, n int32) []byte {
	const width = 10
	v := int64(n)
	if v < 0 {
		v = -v
	}
	var digits [width]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + v%10)
		v /= 10
	}
	if n >= 0 {
		return append(b, digits[:]...)
	}
	b = append(b, '-')
	if digits[0] == '0' {
		return append(b, digits[1:]...)
	}
	return append(b, digits[:]...)
}
