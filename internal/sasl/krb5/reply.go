package krb5

import (
	"encoding/asn1"
	"time"

	forked "github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
)

// encAPRepPart is EncAPRepPart of RFC 4120, section 5.5.2, without a key of the server's.
type encAPRepPart struct {
	CTime          time.Time `asn1:"generalized,explicit,tag:0"`
	Cusec          int       `asn1:"explicit,tag:1"`
	SequenceNumber int64     `asn1:"explicit,tag:3"`
}

// reply is the AP-REP in its GSS token: the time of the client's authenticator, under the ticket's key. The library only reads them.
func reply(req *messages.APReq, seq int64) ([]byte, error) {
	auth := &req.Authenticator
	part, err := forked.Marshal(encAPRepPart{auth.CTime.UTC(), auth.Cusec, seq})
	if err != nil {
		return nil, errToken
	}
	if part, err = application(asnAppTag.EncAPRepPart, part); err != nil {
		return nil, errToken
	}
	sealed, err := crypto.GetEncryptedData(part, req.Ticket.DecryptedEncPart.Key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, errToken
	}
	rep, err := forked.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, errToken
	}
	if rep, err = application(asnAppTag.APREP, rep); err != nil {
		return nil, errToken
	}
	return frame(idAPRep, rep)
}

// application puts an application tag around what is encoded.
func application(tag int, b []byte) ([]byte, error) {
	return asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: tag, IsCompound: true, Bytes: b})
}
