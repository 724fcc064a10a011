package zoocfg

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gopherwood/internal/certs"
)

// write makes a zoo.cfg whose dataDir is beside it, unless the text has one.
func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if !strings.Contains(text, "dataDir") {
		text += "\ndataDir=" + dir + "\n"
	}
	file := filepath.Join(dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoad(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Config
	}{
		{"nothing but defaults", "", Config{}},
		{"the sample of ZooKeeper", `
# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
clientPort=2181
#maxClientCnxns=60
autopurge.snapRetainCount=3
metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
metricsProvider.httpPort=7000
`, Config{TickMs: 2000, InitLimit: 10, SyncLimit: 5, ClientPort: 2181, MetricsPort: 7000,
			Ignored: []string{"initLimit", "syncLimit", "autopurge.snapRetainCount", "metricsProvider.className"}}},
		{"an ensemble", `
server.2=zoo2:2888:3888:participant;10.0.0.2:2182
server.1=zoo1:2888:3888;2181
server.3=[2001:db8::1]:2888:3888
`, Config{Servers: []Server{
			{ID: 1, Host: "zoo1", PeerPort: 2888, ElectPort: 3888, ClientPort: 2181},
			{ID: 2, Host: "zoo2", PeerPort: 2888, ElectPort: 3888, ClientHost: "10.0.0.2", ClientPort: 2182},
			{ID: 3, Host: "2001:db8::1", PeerPort: 2888, ElectPort: 3888},
		}}},
		{"everything", `
clientPortAddress = 127.0.0.1
minSessionTimeout: 3000
maxSessionTimeout 60000
maxClientCnxns=60
maxCnxns=1000
jute.maxbuffer=0x200000
4lw.commands.whitelist=stat, ruok ,*
zookeeper.DigestAuthenticationProvider.superDigest=super:abc=
znode.container.checkIntervalMs=1000
admin.enableServer=FALSE
admin.serverPort=9090
admin.serverAddress=localhost
quorumListenOnAllIPs=true
admin.idleTimeout=1000
admin.commandURL=/zk/commands/
admin.rateLimiterIntervalInMS=5
admin.restore.enabled=false
admin.snapshot.enabled=false
metricsProvider.exportJvmInfo=false
znode.container.maxPerMinute=7
pathStats.maxDepth=3
ensembleAuthName=a, b
IPAuthenticationProvider.usexforwardedfor=true
clientPortListenBacklog=128
clientTcpKeepAlive=true
datadir.autocreate=false
zookeeper.nio.sessionlessCnxnTimeout=3000
snapSizeLimitInKb=1024
secret.knob=1
peerType=participant
`, Config{ClientAddress: "127.0.0.1", MinSessionMs: 3000, MaxSessionMs: 60000, MaxClientCnxns: 60, MaxCnxns: 1000, MaxFrame: 2 << 20,
			Whitelist: []string{"stat", "ruok", "*"}, SuperDigest: "super:abc=", ReapMs: 1000, AdminDisabled: true, AdminPort: 9090,
			AdminAddress: "localhost", QuorumOnAllIPs: true, AdminIdleMs: 1000, AdminURL: "/zk/commands", AdminIntervalMs: 5,
			NoAdminRestore: true, NoAdminSnapshot: true, NoRuntimeMetrics: true, ReapPerMinute: 7, PathDepth: 3, EnsembleNames: []string{"a", "b"}, ForwardedFor: true, Backlog: 128, KeepAlive: true, DataDirMustExist: true, HandshakeMs: 3000,
			SnapshotBytes: 1 << 20, Unknown: []string{"secret.knob"}}},
		{"TLS", `
secureClientPort=2281
secureClientPortAddress=127.0.0.1
client.portUnification=true
client.certReload=false
zookeeper.ssl.keyStore.location=/k.p12
ssl.keyStore.password=secret
ssl.keyStore.type=PKCS12
ssl.trustStore.location=/t.pem
ssl.trustStore.passwordPath=/pw
ssl.clientAuth=want
ssl.protocol=TLSv1.3
ssl.enabledProtocols=TLSv1.3
ssl.hostnameVerification=false
ssl.clientHostnameVerification=true
ssl.authProvider=x509
X509AuthenticationProvider.superUser=CN=root
netty.server.outstandingHandshake.limit=250
sslQuorum=true
portUnification=true
ssl.quorum.keyStore.location=/q.pem
ssl.quorum.trustStore.location=/qt.pem
ssl.quorum.clientHostnameVerification=false
ssl.quorum.allowReverseDnsLookup=true
admin.forceHttps=true
admin.portUnification=true
admin.needClientAuth=true
`, Config{Secure: Secure{Port: 2281, Address: "127.0.0.1", Unified: true, SuperUser: "CN=root", MaxHandshakes: 250,
			TLS: certs.Options{Key: certs.Store{File: "/k.p12", Password: "secret", Type: "PKCS12"}, Trust: certs.Store{File: "/t.pem", PasswordFile: "/pw"},
				ClientAuth: certs.ClientAuthWant, Versions: certs.Versions{Min: tls.VersionTLS13, Max: tls.VersionTLS13}, AnyServerName: true, CheckClientName: true,
				Fixed: true},
			Quorum: true, QuorumUnified: true, AnyMemberName: true, AdminTLS: true, AdminUnified: true, AdminClientAuth: true,
			QuorumTLS: certs.Options{Key: certs.Store{File: "/q.pem"}, Trust: certs.Store{File: "/qt.pem"}, ReverseDNS: true}}}},
		{"an empty whitelist, default timeouts", "4lw.commands.whitelist=\nminSessionTimeout=-1", Config{Whitelist: []string{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Load(write(t, tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, *got, cmpopts.IgnoreFields(Config{}, "DataDir", "Text", "dynamicConfigFile"), cmpopts.IgnoreUnexported(Config{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMistakes: one sentence that names the key and the fix.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"tickTime=fast":                     ":1: tickTime=fast is not a number in milliseconds, such as 2000; give one from 1 to 107374182",
		"\ntickTime=0":                      ":2: tickTime=0 is not a number in milliseconds, such as 2000; give one from 1 to 107374182",
		"clientPort=99999":                  ":1: clientPort=99999 is not a port; give a number from 1 to 65535",
		"jute.maxbuffer=50000000":           ":1: jute.maxbuffer=50000000 is not a number of bytes; give one from 1024 to 4128768",
		"dataDir=":                          ":1: dataDir= is empty; give a value or remove it",
		"dataDir /\ndataDir=":               ":2: dataDir= is empty; give a value or remove it",
		"secureClientPort=x":                ":1: secureClientPort=x is not a port; give a number from 1 to 65535",
		"secureClientPortAddress=127.0.0.1": ": secureClientPortAddress is there and secureClientPort is not; add the port, or remove the address",
		"sslQuorum=maybe":                   ":1: sslQuorum=maybe is neither true nor false; give one of them",
		"ssl.clientAuth=maybe":              ":1: ssl.clientAuth=maybe is none of none, want and need; give one of them",
		"ssl.keyStore.type=BCFKS": ":1: ssl.keyStore.type=BCFKS is a format of BouncyCastle's that is not read here; convert the store with keytool -importkeystore" +
			" -deststoretype PKCS12 and give PKCS12",
		"ssl.quorum.enabledProtocols=SSLv3": `:1: ssl.quorum.enabledProtocols=SSLv3 names "SSLV3", which is no version of TLS; give some of TLSv1.2,TLSv1.3`,
		"ssl.protocol=SSL":                  ":1: ssl.protocol=SSL is no version of TLS; give TLSv1.2 or TLSv1.3",
		"ssl.ciphersuites=ROT13": ":1: ssl.ciphersuites=ROT13 names no cipher suite that there is here; give some such as" +
			" TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"ssl.crl=true":                                   ":1: ssl.crl=true asks for revoked certificates to be refused, which is not checked here; remove it, and use certificates that do not live long",
		"ssl.authProvider=mine":                          ":1: ssl.authProvider=mine names a class of your own, which can't be loaded here; x509 is the one there is",
		"quorum.auth.enableSasl=true":                    ":1: quorum.auth.enableSasl=true asks for SASL between servers, which they do not have; remove it",
		"admin.commandURL=commands":                      ":1: admin.commandURL=commands is not a path for the admin port's commands; give one such as /commands",
		"admin.commandURL=/":                             ":1: admin.commandURL=/ is not a path for the admin port's commands; give one such as /commands",
		"admin.forceHttps=yes":                           ":1: admin.forceHttps=yes is neither true nor false; give one of them",
		"admin.enableServer=yes":                         ":1: admin.enableServer=yes is neither true nor false; give one of them",
		"minSessionTimeout=9000\nmaxSessionTimeout=8000": ": minSessionTimeout=9000 is above maxSessionTimeout=8000; lower the first or raise the second",
		"group.1=1:2":                                    ":1: group.1 asks for a hierarchical quorum, which there is none of here; remove all group and weight lines",
		"server.0=h:2888:3888":                           ":1: server.0=h:2888:3888 has no number from 1 to 255 behind the dot; the form is server.N=host:2888:3888;2181",
		"server.x=h:1:2":                                 ":1: server.x=h:1:2 has no number from 1 to 255 behind the dot; the form is server.N=host:2888:3888;2181",
		"server.1=h":                                     ":1: server.1=h has no host and port; the form is server.N=host:2888:3888;2181",
		"server.1=:2888:3888":                            ":1: server.1=:2888:3888 has no host and port; the form is server.N=host:2888:3888;2181",
		"server.1=h:28x:3888":                            `:1: server.1=h:28x:3888 has "28x" where a port from 1 to 65535 belongs; the form is server.N=host:2888:3888;2181`,
		"server.1=h:1:2:king":                            ":1: server.1=h:1:2:king has a role that is neither participant nor observer; the form is server.N=host:2888:3888;2181",
		"server.1=h:1:2:3":                               ":1: server.1=h:1:2:3 has too many ports; the form is server.N=host:2888:3888;2181",
		"server.1=h:1:2;x":                               ":1: server.1=h:1:2;x has no client port behind the semicolon; the form is server.N=host:2888:3888;2181",
		"server.1=a:1:2|b:1:2":                           ":1: server.1=a:1:2|b:1:2 has several addresses, of which only one is used here; the form is server.N=host:2888:3888;2181",
		"server.1=h:1:2\nserver.1=i:1:2":                 ": server.1 is there twice; every server has one line",
		"server.1=h:1:2\nserver.2=h:1:3":                 ": server.1 and server.2 have the same address h:1; every server has its own",
		"DigestAuthenticationProvider.superDigest=x":     ":1: DigestAuthenticationProvider.superDigest=… is not user:hash; make it with DigestAuthenticationProvider",
	} {
		file := write(t, text)
		_, err := Load(file)
		var e *Error
		if !errors.As(err, &e) || err.Error() != file+want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, file+want)
		}
	}
	if _, err := Load("/none/zoo.cfg"); err == nil || err.Error() != "/none/zoo.cfg: the configuration file cannot be read (no such file or directory); give the path of a zoo.cfg" {
		t.Error(err)
	}
}

func TestMyID(t *testing.T) {
	file := write(t, "server.1=h:1:2")
	myid := filepath.Join(filepath.Dir(file), "myid")
	for text, want := range map[string]uint64{" 3\n": 3, "255": 255} {
		if err := os.WriteFile(myid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(file); err != nil || c.MyID != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "0", "256", "one", "-1"} {
		if err := os.WriteFile(myid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "it must hold this server's number, from 1 to 255") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDynamicFile(t *testing.T) {
	dynamic := filepath.Join(t.TempDir(), "zoo.cfg.dynamic")
	if err := os.WriteFile(dynamic, []byte("server.1=h:1:2;3\nversion=100000000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(write(t, "dynamicConfigFile="+dynamic))
	if err != nil || len(c.Servers) != 1 || c.Servers[0].ClientPort != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Load(write(t, "dynamicConfigFile="+dynamic+"\nserver.2=h:1:2")); err == nil || !strings.Contains(err.Error(), "server.2 must be in the file that dynamicConfigFile names") {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		s            Server
		peer, client string
	}{
		{Server{Host: "h", PeerPort: 1}, "h:1", ""},
		{Server{Host: "h", PeerPort: 1, ClientPort: 2}, "h:1", "h:2"},
		{Server{Host: "h", PeerPort: 1, ClientHost: "0.0.0.0", ClientPort: 2}, "h:1", "h:2"},
		{Server{Host: "h", PeerPort: 1, ClientHost: "::", ClientPort: 2}, "h:1", "h:2"},
		{Server{Host: "::1", PeerPort: 1, ClientHost: "c", ClientPort: 2}, "[::1]:1", "c:2"},
	} {
		if tc.s.PeerAddr() != tc.peer || tc.s.ClientAddr() != tc.client {
			t.Errorf("%+v: %s %s", tc.s, tc.s.PeerAddr(), tc.s.ClientAddr())
		}
	}
}

func TestProperties(t *testing.T) {
	for text, want := range map[string][]property{
		"a=b":                {{1, "a", "b"}},
		"a : b c \n\n#x\n!y": {{1, "a", "b c"}},
		"a":                  {{1, "a", ""}},
		"a\tb":               {{1, "a", "b"}},
		`a\=b=c`:             {{1, "a=b", "c"}},
		"a=b\\\n   c\nd=e":   {{1, "a", "bc"}, {3, "d", "e"}},
		"a=b\\\\\nc=d":       {{1, "a", `b\`}, {2, "c", "d"}},
		`a=\u0041\tx\q\u1`:   {{1, "a", "A\txqu1"}},
		"a=b\r\nc=d\re=f":    {{1, "a", "b"}, {2, "c", "d"}, {3, "e", "f"}},
		"a=b\\":              {{1, "a", "b"}},
	} {
		if diff := cmp.Diff(want, properties(text), cmp.AllowUnexported(property{})); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("server.1=h:2888:3888;2181\ntickTime=2000\n")
	f.Add("server.1=[::1]:1:2:participant;[::]:3\\\n")
	f.Add(`a\u00e9=\u12`)
	f.Fuzz(func(t *testing.T, text string) {
		c := &Config{}
		for _, p := range properties(text) {
			c.set(p, false)
		}
		for _, s := range c.Servers {
			if s.ID == 0 || s.PeerPort == 0 || s.Host == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
