package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
)

// attribute is one type and value of a name, with the value as it was encoded.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// relativeName is a set of attributes; the suffix tells package asn1 that it is a SET.
type relativeNameSET []attribute

// keywords are the types that RFC 2253 has names for; Java writes all others as numbers (AVAKeyword).
var keywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// stringTags are the encodings that are written as text: UTF8, Printable, T61, IA5, General, Universal and BMP strings.
var stringTags = []int{12, 19, 20, 22, 27, 28, 30}

// Subject is the distinguished name of a certificate's owner as RFC 2253 writes it and Java's X500Principal.getName() does: the last part first. A
// name that cannot be read is "".
func Subject(c *x509.Certificate) string { return distinguishedName(c.RawSubject) }

func distinguishedName(raw []byte) string {
	var name []relativeNameSET
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return ""
	}
	slices.Reverse(name)
	var b strings.Builder
	for i, set := range name {
		if i > 0 {
			b.WriteByte(',')
		}
		for k, a := range set {
			if k > 0 {
				b.WriteByte('+')
			}
			a.write(&b)
		}
	}
	return b.String()
}

func (a *attribute) write(b *strings.Builder) {
	keyword, known := keywords[a.Type.String()]
	isText := a.Value.Class == asn1.ClassUniversal && slices.Contains(stringTags, a.Value.Tag)
	if !known || !isText {
		if !known {
			keyword = a.Type.String()
		}
		b.WriteString(keyword + "=#" + hex.EncodeToString(a.Value.FullBytes))
		return
	}
	b.WriteString(keyword + "=")
	text := strings.ToValidUTF8(string(a.Value.Bytes), "\uFFFD")
	isSpace := func(r rune) bool { return r == ' ' || r == '\r' }
	inner := strings.TrimFunc(text, isSpace)
	lead := strings.Index(text, inner) // 0 for a text of nothing else, all of which is then at the end
	for i, r := range text {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`,=+<>#;"\`, r), isSpace(r) && (i < lead || i >= lead+len(inner)):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
}
