package krb5

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"gopherwood/internal/sasl"
)

const name = "GSSAPI"

// Acceptor is the mechanism of a server with a key.
type Acceptor struct {
	keytab  *keytab.Keytab
	service types.PrincipalName
	realm   string
	names   sasl.Names
	replays *replays
	now     func() time.Time
}

// Load reads a keytab and makes the mechanism of a principal in it, "zookeeper/host.example.com@EXAMPLE.COM".
func Load(file, principal string, names sasl.Names) (*Acceptor, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeytabBytes+1))
	if err != nil {
		return nil, err
	}
	a, err := New(b, principal, names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// New makes the mechanism from a keytab's bytes. names.Realm is the principal's.
func New(keys []byte, principal string, names sasl.Names) (*Acceptor, error) {
	kt, err := readKeytab(keys)
	if err != nil {
		return nil, err
	}
	full, realm, ok := strings.Cut(principal, "@")
	service, host, slash := strings.Cut(full, "/")
	if !ok || !slash || service == "" || host == "" || realm == "" || strings.ContainsAny(realm, "@/") {
		return nil, fmt.Errorf("%q is no server's principal; it looks like zookeeper/host.example.com@EXAMPLE.COM", principal)
	}
	a := &Acceptor{keytab: kt, realm: realm, names: names, replays: newReplays(maxReplays), now: time.Now}
	a.service = types.PrincipalName{NameType: 2, NameString: []string{service, host}}
	a.names.Realm = realm
	for _, e := range kt.Entries {
		if e.Principal.Realm == realm && equal(e.Principal.Components, a.service.NameString) && taken(e.Key.KeyType) {
			return a, nil
		}
	}
	return nil, fmt.Errorf("the keytab has no AES key of %s", principal)
}

// readKeytab parses a keytab; the library is not made for ones that are malformed.
func readKeytab(b []byte) (kt *keytab.Keytab, err error) {
	if len(b) > maxKeytabBytes {
		return nil, fmt.Errorf("the keytab is longer than %d bytes", maxKeytabBytes)
	}
	defer func() {
		if recover() != nil {
			kt, err = nil, errors.New("it is no keytab")
		}
	}()
	kt = keytab.New()
	if kt.Unmarshal(b) != nil {
		return nil, errors.New("it is no keytab")
	}
	return kt, nil
}

func equal(a, b []string) bool {
	return len(a) == len(b) && strings.Join(a, "/") == strings.Join(b, "/")
}

// taken says whether keys of the encryption type are taken.
func taken(etype int32) bool {
	switch etype {
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192:
		return true
	}
	return false
}

// Name implements sasl.Mechanism.
func (a *Acceptor) Name() string { return name }

// Principal is the server's own.
func (a *Acceptor) Principal() string { return strings.Join(a.service.NameString, "/") + "@" + a.realm }

// Starts implements sasl.Mechanism.
func (a *Acceptor) Starts(token []byte) bool { return len(token) > 0 && token[0] == 0x60 }

// Start implements sasl.Mechanism.
func (a *Acceptor) Start() sasl.Dialogue { return &dialogue{a: a} }

// dialogue is the authentication of one client.
type dialogue struct {
	a     *Acceptor
	stage stage
	user  string
	key   types.EncryptionKey
	seq   uint64 // of the next token to the client
}

type stage uint8

const (
	stageTicket stage = iota // the AP-REQ is awaited
	stageEmpty               // the client has the AP-REP and sends nothing
	stageLayer               // the client chooses a layer
)

var (
	errToken    = errors.New("a malformed token")
	errTicket   = errors.New("the ticket is not for this server, is not valid now, or does not belong to who sent it")
	errLayer    = errors.New("the client wants a security layer, which there is none of")
	errChecksum = errors.New("a token was not made with the ticket's key")
)

// Step implements sasl.Dialogue. A panic of the library means a token that it does not understand.
func (d *dialogue) Step(token []byte) (answer []byte, user string, err error) {
	defer func() {
		if recover() != nil {
			answer, user, err = nil, "", errToken
		}
	}()
	switch d.stage {
	case stageTicket:
		answer, err = d.ticket(token)
		return answer, "", err
	case stageEmpty:
		if len(token) != 0 {
			return nil, "", errToken
		}
		answer, err = d.offer()
		return answer, "", err
	}
	if err := d.choice(token); err != nil {
		return nil, "", err
	}
	return nil, d.user, nil
}

// The flags of a client's context (RFC 4121, section 4.1.1).
const (
	flagMutual   = 2
	checksumType = 0x8003
)

// ticket checks the client's first token.
func (d *dialogue) ticket(token []byte) ([]byte, error) {
	inner, id, ok := unframe(token)
	if !ok || id != idAPReq {
		return nil, errToken
	}
	var req messages.APReq
	if req.Unmarshal(inner) != nil {
		return nil, errToken
	}
	a := d.a
	t := &req.Ticket
	if !equal(t.SName.NameString, a.service.NameString) || t.Realm != a.realm || !taken(t.EncPart.EType) {
		return nil, errTicket
	}
	if ok, err := req.Verify(a.keytab, MaxSkew, types.HostAddress{}, &a.service); err != nil || !ok {
		return nil, errTicket
	}
	if err := a.replays.add(req.EncryptedAuthenticator.Cipher, a.now()); err != nil {
		return nil, err
	}
	auth := &req.Authenticator
	sum := auth.Cksum
	if sum.CksumType != checksumType || len(sum.Checksum) < 24 || !taken(t.DecryptedEncPart.Key.KeyType) {
		return nil, errToken
	}
	d.user = a.names.Of(strings.Join(t.DecryptedEncPart.CName.NameString, "/") + "@" + t.DecryptedEncPart.CRealm)
	d.key = t.DecryptedEncPart.Key
	if auth.SubKey.KeyType != 0 {
		if !taken(auth.SubKey.KeyType) {
			return nil, errToken
		}
		d.key = auth.SubKey
	}
	d.seq = uint64(uint32(auth.SeqNumber))
	if binary.LittleEndian.Uint32(sum.Checksum[20:24])&flagMutual == 0 {
		return d.offer()
	}
	d.stage = stageEmpty
	return reply(&req, auth.SeqNumber)
}

// offer is the list of the layers: none.
func (d *dialogue) offer() ([]byte, error) {
	w := gssapi.WrapToken{Flags: flagAcceptor, EC: 0, SndSeqNum: d.seq, Payload: []byte{layerNone, 0, 0, 0}}
	if err := w.SetCheckSum(d.key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		return nil, errToken
	}
	w.EC = uint16(len(w.CheckSum))
	d.stage = stageLayer
	return w.Marshal()
}

const (
	flagAcceptor = 1 // of a wrap token: sent by the acceptor
	layerNone    = 1
)

// choice takes the layer that the client chose. Behind it may be a name to act as, which ZooKeeper does not heed either.
func (d *dialogue) choice(token []byte) error {
	var w gssapi.WrapToken
	if w.Unmarshal(unrotate(token), false) != nil {
		return errToken
	}
	if ok, err := w.Verify(d.key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil || !ok {
		return errChecksum
	}
	if len(w.Payload) < 4 {
		return errToken
	}
	if w.Payload[0] != layerNone {
		return errLayer
	}
	return nil
}

// unrotate undoes the rotation of a wrap token (RFC 4121, section 4.2.5), which the library does not.
func unrotate(token []byte) []byte {
	if len(token) <= gssapi.HdrLen {
		return token
	}
	rotation := int(binary.BigEndian.Uint16(token[6:8])) % (len(token) - gssapi.HdrLen)
	body := token[gssapi.HdrLen:]
	whole := append([]byte(nil), token[:gssapi.HdrLen]...)
	whole[6], whole[7] = 0, 0
	return append(append(whole, body[rotation:]...), body[:rotation]...)
}

// What a GSS token is (RFC 4121, section 4.1).
var (
	idAPReq = [2]byte{1, 0}
	idAPRep = [2]byte{2, 0}
	oid     = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
)

// unframe takes the frame off a token (RFC 2743, section 3.1).
func unframe(token []byte) (inner []byte, id [2]byte, ok bool) {
	var raw asn1.RawValue
	rest, err := asn1.Unmarshal(token, &raw)
	if err != nil || len(rest) != 0 || raw.Class != asn1.ClassApplication || raw.Tag != 0 || !raw.IsCompound {
		return nil, id, false
	}
	b, found := bytes.CutPrefix(raw.Bytes, oid)
	if !found || len(b) < 2 {
		return nil, id, false
	}
	return b[2:], [2]byte(b), true
}

func frame(id [2]byte, inner []byte) ([]byte, error) {
	body := append(append(append([]byte(nil), oid...), id[:]...), inner...)
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: 0, IsCompound: true, Bytes: body})
}
