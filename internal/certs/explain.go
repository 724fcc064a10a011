package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"syscall"
)

// recordHandshake is the first byte of every TLS connection (RFC 8446, section 5.1). As the first byte of a frame of ZooKeeper's it would announce 369 MB.
const recordHandshake = 0x16

// IsTLS says whether bytes that begin a connection are TLS. One byte is enough.
func IsTLS(b []byte) bool { return len(b) > 0 && b[0] == recordHandshake }

// Explain says in words why a TLS handshake failed, about "it", the other side.
func Explain(err error) string {
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &record):
		return "it does not speak TLS, which this connection is for"
	case errors.As(err, &verify):
		return "its certificate is not accepted: " + explainVerify(verify)
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return "it has shown no certificate, which it has to"
	case strings.Contains(err.Error(), "remote error: tls: "):
		_, alert, _ := strings.Cut(err.Error(), "remote error: tls: ")
		return "it refused: " + alert + explainAlert(alert)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it hung up in the TLS handshake"
	}
	return "the TLS handshake failed"
}

func explainVerify(e *tls.CertificateVerificationError) string {
	who := ""
	if len(e.UnverifiedCertificates) > 0 {
		who = " (" + Subject(e.UnverifiedCertificates[0]) + ")"
	}
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	switch {
	case errors.As(e.Err, &unknown):
		return "no authority in the trust store has signed it" + who
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet" + who
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "its extended key usage is for something else" + who
	case errors.As(e.Err, &host):
		return "it does not name " + host.Host + who
	}
	return e.Err.Error() + who
}

// explainAlert says what is most likely behind an alert.
func explainAlert(alert string) string {
	switch {
	case strings.Contains(alert, "unknown certificate authority"), strings.Contains(alert, "bad certificate"), strings.Contains(alert, "unknown certificate"):
		return " (it does not trust the certificate that it was shown)"
	case strings.Contains(alert, "certificate required"):
		return " (it wants a certificate of a trusted authority to be shown)"
	case strings.Contains(alert, "handshake failure"), strings.Contains(alert, "protocol version"):
		return " (no common protocol version or cipher suite, or it wants a certificate)"
	}
	return ""
}
