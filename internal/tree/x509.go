package tree

import "strings"

// distinguished are the attribute types of a distinguished name that Java reads by name (AVAKeyword). Others are written as numbers.
const distinguished = " CN C L S ST O OU T IP STREET DC DNQUALIFIER DNQ SURNAME GIVENNAME INITIALS GENERATION EMAIL EMAILADDRESS UID SERIALNUMBER "

// escapable are the characters that may follow a backslash in a value; two hexadecimal digits may, too.
const escapable = ",=\n+<>#;\\\" "

// isDistinguishedName says whether s is a name that an x509 entry may have, in the form of RFC 2253 or RFC 1779 (X509AuthenticationProvider.isValid
// asks X500Principal). The empty name is one.
func isDistinguishedName(s string) bool {
	for first := true; s != "" || !first; first = false {
		name, rest, ok := strings.Cut(s, "=")
		if !ok || !isAttributeType(strings.TrimSpace(name)) {
			return false
		}
		end, more := attributeValue(strings.TrimLeft(rest, " \n"))
		if !more {
			return end == ""
		}
		s = end
	}
	return true
}

func isAttributeType(s string) bool {
	s = strings.ToUpper(s)
	if strings.Contains(distinguished, " "+s+" ") && s != "" && !strings.Contains(s, " ") {
		return true
	}
	s = strings.TrimPrefix(s, "OID.")
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" || (len(p) > 1 && p[0] == '0') {
			return false
		}
	}
	return len(parts) > 1 && len(parts[0]) == 1 && parts[0] <= "2"
}

// attributeValue reads a value and returns what is behind the separator that ends it. Without more there was no separator, and rest is "" if the
// value was good.
func attributeValue(s string) (rest string, more bool) {
	const bad = "bad"
	quoted := strings.HasPrefix(s, `"`)
	if quoted {
		s = s[1:]
	}
	hex := !quoted && strings.HasPrefix(s, "#")
	if hex {
		n := strings.IndexAny(s, ",;+")
		digits := strings.TrimSpace(s[1:])
		if n >= 0 {
			digits = strings.TrimSpace(s[1:n])
		}
		if digits == "" || len(digits)%2 != 0 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
			return bad, false
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			n := escapeLength(s[i+1:])
			if n == 0 {
				return bad, false
			}
			i += n
		case quoted && c == '"':
			return closedQuote(s[i+1:])
		case quoted:
		case strings.IndexByte(",;+", c) >= 0:
			return s[i+1:], true
		case strings.IndexByte(`<>"`, c) >= 0:
			return bad, false
		}
	}
	if quoted {
		return bad, false
	}
	return "", false
}

// closedQuote is what follows the quotation mark that ends a value: spaces, and then a separator or the end.
func closedQuote(s string) (rest string, more bool) {
	s = strings.TrimLeft(s, " \n")
	if s == "" {
		return "", false
	}
	if strings.IndexByte(",;+", s[0]) >= 0 {
		return s[1:], true
	}
	return "bad", false
}

// escapeLength is how many bytes behind a backslash belong to it; 0: what is there may not be.
func escapeLength(s string) int {
	isHex := func(i int) bool { return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0 }
	switch {
	case isHex(0) && isHex(1):
		return 2
	case s != "" && strings.IndexByte(escapable, s[0]) >= 0:
		return 1
	}
	return 0
}
