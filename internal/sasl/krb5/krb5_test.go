package krb5

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"gopherwood/internal/sasl"
)

const (
	realm     = "EXAMPLE.COM"
	principal = "zookeeper/host.example.com@" + realm
)

// keysOf is a keytab of principals with a key that every call makes the same.
func keysOf(t testing.TB, etype int32, principals ...string) *keytab.Keytab {
	t.Helper()
	kt := keytab.New()
	for _, p := range principals {
		if err := kt.AddEntry(p, realm, "sesame", time.Unix(1, 0), 1, etype); err != nil {
			t.Fatal(err)
		}
	}
	return kt
}

func acceptor(t testing.TB, names sasl.Names) *Acceptor {
	t.Helper()
	b, err := keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, "zookeeper/host.example.com", "zookeeper/other").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(b, principal, names)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// initiator is a client with a ticket.
type initiator struct {
	ticket messages.Ticket
	key    types.EncryptionKey
	auth   types.Authenticator
}

type ticketOptions struct {
	server string
	start  time.Time
	life   time.Duration
	flags  uint32
	subkey bool
	other  bool // the authenticator is of somebody else
	skew   time.Duration
}

func newInitiator(t testing.TB, o ticketOptions) *initiator {
	t.Helper()
	if o.server == "" {
		o.server = "zookeeper/host.example.com"
	}
	if o.start.IsZero() {
		o.start = time.Now().UTC().Add(-time.Minute)
	}
	if o.life == 0 {
		o.life = time.Hour
	}
	bob := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "bob/client")
	server := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, o.server)
	ticket, key, err := messages.NewTicket(bob, realm, server, realm, types.NewKrbFlags(), keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, o.server),
		etypeID.AES256_CTS_HMAC_SHA1_96, 1, o.start, o.start, o.start.Add(o.life), o.start.Add(o.life))
	if err != nil {
		t.Fatal(err)
	}
	name := bob
	if o.other {
		name = types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "eve")
	}
	auth, err := types.NewAuthenticator(realm, name)
	if err != nil {
		t.Fatal(err)
	}
	auth.CTime = auth.CTime.Add(o.skew)
	sum := make([]byte, 24)
	sum[0] = 16
	binary.LittleEndian.PutUint32(sum[20:], o.flags)
	auth.Cksum = types.Checksum{CksumType: checksumType, Checksum: sum}
	if o.subkey {
		e, err := crypto.GetEtype(key.KeyType)
		if err != nil {
			t.Fatal(err)
		}
		if err := auth.GenerateSeqNumberAndSubKey(key.KeyType, e.GetKeyByteSize()); err != nil {
			t.Fatal(err)
		}
	}
	return &initiator{ticket, key, auth}
}

// hello is the client's first token.
func (i *initiator) hello(t testing.TB) []byte {
	t.Helper()
	req, err := messages.NewAPReq(i.ticket, i.key, i.auth)
	if err != nil {
		t.Fatal(err)
	}
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	token, err := frame(idAPReq, b)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (i *initiator) contextKey() types.EncryptionKey {
	if i.auth.SubKey.KeyType != 0 {
		return i.auth.SubKey
	}
	return i.key
}

// choose is the client's answer to the offered layers, which it checks.
func (i *initiator) choose(t testing.TB, offer []byte, layer byte) []byte {
	t.Helper()
	var w gssapi.WrapToken
	if err := w.Unmarshal(offer, true); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.Verify(i.contextKey(), keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil || !ok {
		t.Fatalf("the offer does not verify: %v", err)
	}
	if w.SndSeqNum != uint64(uint32(i.auth.SeqNumber)) || string(w.Payload) != "\x01\x00\x00\x00" {
		t.Fatalf("offer %x with number %d, want %d", w.Payload, w.SndSeqNum, i.auth.SeqNumber)
	}
	answer, err := gssapi.NewInitiatorWrapToken([]byte{layer, 0, 0, 0, 'e', 'v', 'e'}, i.contextKey())
	if err != nil {
		t.Fatal(err)
	}
	b, err := answer.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// proof checks the server's AP-REP.
func (i *initiator) proof(t testing.TB, token []byte) {
	t.Helper()
	inner, id, ok := unframe(token)
	if !ok || id != idAPRep {
		t.Fatalf("no AP-REP: %x", token)
	}
	var rep messages.APRep
	if err := rep.Unmarshal(inner); err != nil {
		t.Fatal(err)
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, i.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		t.Fatal(err)
	}
	if !part.CTime.Equal(i.auth.CTime.Truncate(time.Second)) || part.Cusec != i.auth.Cusec {
		t.Fatalf("AP-REP of another time: %v %d, want %v %d", part.CTime, part.Cusec, i.auth.CTime, i.auth.Cusec)
	}
}

func TestAccepted(t *testing.T) {
	for _, o := range []ticketOptions{{}, {subkey: true}, {flags: flagMutual}, {flags: flagMutual, subkey: true}} {
		a := acceptor(t, sasl.Names{RemoveHost: true})
		i := newInitiator(t, o)
		x := sasl.NewExchange([]sasl.Mechanism{a})
		answer, _, err := x.Step(i.hello(t))
		if err == nil && o.flags&flagMutual != 0 {
			i.proof(t, answer)
			answer, _, err = x.Step(nil)
		}
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		_, user, err := x.Step(i.choose(t, answer, layerNone))
		if err != nil || user != "bob@"+realm || x.Mechanism() != "GSSAPI" {
			t.Errorf("%+v: user %q, %v", o, user, err)
		}
	}
}

// A token that was rotated on its way through an implementation verifies too.
func TestRotated(t *testing.T) {
	a, i := acceptor(t, sasl.Names{}), newInitiator(t, ticketOptions{})
	x := sasl.NewExchange([]sasl.Mechanism{a})
	offer, _, err := x.Step(i.hello(t))
	if err != nil {
		t.Fatal(err)
	}
	answer := i.choose(t, offer, layerNone)
	body := answer[gssapi.HdrLen:]
	const by = 5
	rotated := append(append(append([]byte(nil), answer[:gssapi.HdrLen]...), body[len(body)-by:]...), body[:len(body)-by]...)
	rotated[7] = by
	if _, user, err := x.Step(rotated); user == "" || err != nil {
		t.Errorf("user %q, %v", user, err)
	}
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct {
		o    ticketOptions
		want error
	}{
		"another server's ticket":   {ticketOptions{server: "zookeeper/other"}, errTicket},
		"an expired ticket":         {ticketOptions{start: time.Now().Add(-2 * time.Hour)}, errTicket},
		"a ticket for later":        {ticketOptions{start: time.Now().Add(time.Hour)}, errTicket},
		"somebody else's ticket":    {ticketOptions{other: true}, errTicket},
		"a clock that is far ahead": {ticketOptions{skew: 2 * MaxSkew}, errTicket},
	} {
		x := sasl.NewExchange([]sasl.Mechanism{acceptor(t, sasl.Names{})})
		if answer, user, err := x.Step(newInitiator(t, test.o).hello(t)); !errors.Is(err, test.want) || answer != nil || user != "" {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	a, i := acceptor(t, sasl.Names{}), newInitiator(t, ticketOptions{})
	hello := i.hello(t)
	first := sasl.NewExchange([]sasl.Mechanism{a})
	offer, _, err := first.Step(hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := sasl.NewExchange([]sasl.Mechanism{a}).Step(hello); !errors.Is(err, errReplay) {
		t.Errorf("an authenticator twice: %v", err)
	}
	if _, user, err := first.Step(i.choose(t, offer, 2)); !errors.Is(err, errLayer) || user != "" {
		t.Errorf("a security layer: %v", err)
	}
	again := newInitiator(t, ticketOptions{})
	second := sasl.NewExchange([]sasl.Mechanism{a})
	if offer, _, err = second.Step(again.hello(t)); err != nil {
		t.Fatal(err)
	}
	token := again.choose(t, offer, layerNone)
	token[gssapi.HdrLen+4] ^= 1 // the name behind the layer
	if _, user, err := second.Step(token); !errors.Is(err, errChecksum) || user != "" {
		t.Errorf("a changed token: %v", err)
	}
}

func TestReplaysForget(t *testing.T) {
	r := newReplays(3)
	at := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		what  string
		want  error
	}{
		{0, "a", nil}, {0, "a", errReplay}, {MaxSkew, "b", nil}, {MaxSkew, "a", errReplay}, {0, "c", nil}, {0, "d", errReplays},
		{2 * MaxSkew, "a", nil}, {0, "c", errReplay}, {2 * MaxSkew, "c", nil},
	} {
		at = at.Add(step.after)
		if err := r.add([]byte(step.what), at); !errors.Is(err, step.want) {
			t.Errorf("%s at %v: %v, want %v", step.what, at.Unix(), err, step.want)
		}
	}
}

func TestBadKeytabs(t *testing.T) {
	good, err := keysOf(t, etypeID.AES256_CTS_HMAC_SHA1_96, "zookeeper/host.example.com").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	old, err := keysOf(t, etypeID.RC4_HMAC, "zookeeper/host.example.com").Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		keys            []byte
		principal, want string
	}{
		{nil, principal, "no keytab"}, {[]byte("hello"), principal, "no keytab"}, {good[:len(good)-3], principal, "no keytab"},
		{make([]byte, maxKeytabBytes+1), principal, "longer"}, {good, "zookeeper", "no server's principal"}, {good, "zookeeper@" + realm, "no server's principal"},
		{good, "zookeeper/other@" + realm, "no AES key"}, {old, principal, "no AES key"},
	} {
		if _, err := New(test.keys, test.principal, sasl.Names{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.principal, err, test.want)
		}
	}
}

// No token makes the server panic or accept.
func FuzzToken(f *testing.F) {
	a := acceptor(f, sasl.Names{})
	i := newInitiator(f, ticketOptions{flags: flagMutual})
	hello := i.hello(f)
	f.Add(hello[:len(hello)-1], []byte{}, []byte{})
	f.Add([]byte{0x60, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1, 0}, []byte{}, []byte{5, 4, 0, 0xff})
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		x := sasl.NewExchange([]sasl.Mechanism{a})
		for _, token := range [][]byte{one, two, three} {
			if _, user, _ := x.Step(token); user != "" {
				t.Fatalf("accepted as %q", user)
			}
		}
	})
}

// A client's layer token never panics, whatever stage it comes in.
func FuzzChoice(f *testing.F) {
	a := acceptor(f, sasl.Names{})
	i := newInitiator(f, ticketOptions{})
	f.Add([]byte{5, 4, 0, 0xff, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Fuzz(func(t *testing.T, token []byte) {
		d := &dialogue{a: a, stage: stageLayer, user: "bob", key: i.key}
		if _, user, _ := d.Step(token); user != "" {
			t.Fatal("accepted")
		}
	})
}

// FuzzKeytab: no keytab makes the server panic.
func FuzzKeytab(f *testing.F) {
	good, err := keysOf(f, etypeID.AES256_CTS_HMAC_SHA1_96, principal).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{5, 2, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{5, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := New(b, principal, sasl.Names{})
		if err == nil && a.Principal() != principal {
			t.Fatalf("%x gives an acceptor for %s", b, a.Principal())
		}
	})
}
