package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"unicode/utf8"

	"gopherwood/internal/certs/certtest"
)

var (
	oidCN    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidC     = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidSN    = asn1.ObjectIdentifier{2, 5, 4, 5}
	oidMail  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidDC    = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	oidUID   = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidTitle = asn1.ObjectIdentifier{2, 5, 4, 12}
)

func ia5(s string) asn1.RawValue { return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(s)} }

// subjects are names with what Java 17 says of them (X500Principal.getName); the end-to-end test asks Java again.
var subjects = []struct {
	name pkix.RDNSequence
	want string
}{
	{pkix.RDNSequence{}, ""},
	{pkix.RDNSequence{{{Type: oidCN, Value: "alice"}}}, "CN=alice"},
	{pkix.RDNSequence{{{Type: oidC, Value: "DE"}}, {{Type: oidO, Value: "Acme, Inc."}}, {{Type: oidOU, Value: "R+D"}}, {{Type: oidCN, Value: "zoo 1"}}}, `CN=zoo 1,OU=R\+D,O=Acme\, Inc.,C=DE`},
	{pkix.RDNSequence{{{Type: oidDC, Value: ia5("org")}}, {{Type: oidDC, Value: ia5("example")}}, {{Type: oidUID, Value: "bob"}}}, "UID=bob,DC=example,DC=org"},
	{pkix.RDNSequence{{{Type: oidMail, Value: ia5("a@b.org")}}, {{Type: oidCN, Value: "m"}}}, "CN=m,1.2.840.113549.1.9.1=#16076140622e6f7267"},
	{pkix.RDNSequence{{{Type: oidSN, Value: "42"}}, {{Type: oidTitle, Value: "Dr"}}}, "2.5.4.12=#13024472,2.5.4.5=#13023432"},
	{pkix.RDNSequence{{{Type: oidCN, Value: " # a;<b>=\"c\"\\ "}}}, `CN=\ \# a\;\<b\>\=\"c\"\\\ `},
	{pkix.RDNSequence{{{Type: oidCN, Value: "Jürgen Größe"}}}, "CN=Jürgen Größe"},
	{pkix.RDNSequence{{{Type: oidCN, Value: "a"}, {Type: oidOU, Value: "b"}}}, "CN=a+OU=b"},
	{pkix.RDNSequence{{{Type: oidCN, Value: "   "}}}, `CN=\ \ \ `},
}

func TestSubject(t *testing.T) {
	ca := certtest.NewAuthority(t, "CA")
	for _, c := range subjects {
		if got := Subject(ca.Issue(t, certtest.Leaf{Subject: c.name}).Cert); got != c.want {
			t.Errorf("%v: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzSubject(f *testing.F) {
	for _, c := range subjects {
		b, err := asn1.Marshal(c.name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := Subject(&x509.Certificate{RawSubject: raw})
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || len(s) > 4*len(raw)+64*len(raw) {
			t.Errorf("%x: %q", raw, s)
		}
	})
}
