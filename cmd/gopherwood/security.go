package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"gopherwood/internal/audit"
	"gopherwood/internal/sasl"
	"gopherwood/internal/sasl/krb5"
	"gopherwood/internal/server"
)

// identities is where serve was told to find who clients are.
type identities struct {
	saslUsers    string
	auditLog     string
	jaas         string
	keytab       string
	principal    string
	jaasFromEnv  bool
	loginSection string
}

func (i *identities) flags(f *pflag.FlagSet) {
	f.StringVar(&i.saslUsers, "sasl-users", "", "file of users that authenticate themselves by SASL; gopherwood sasl-user makes its lines")
	f.StringVar(&i.auditLog, "audit-log", "", "file that gets a line for each change: who, from where, what (default with audit.enable=true: "+defaultAudit+")")
	f.StringVar(&i.jaas, "jaas", "", "JAAS file as ZooKeeper has it, with the users or the keytab of its section Server (java.security.auth.login.config)")
	f.StringVar(&i.keytab, "krb5-keytab", "", "keytab with this server's Kerberos key; needs --krb5-principal")
	f.StringVar(&i.principal, "krb5-principal", "", "this server's Kerberos principal, zookeeper/host.example.com@EXAMPLE.COM")
}

// defaultAudit is where ZooKeeper's own configuration puts its audit log.
const defaultAudit = "zookeeper_audit.log"

// openAudit opens the audit log, if one is asked for, and notes the start; nil if none is.
func (s *settings) openAudit(log *slog.Logger) (*audit.Log, error) {
	name := s.identities.auditLog
	if name == "" && s.file.Security.Audit {
		name = defaultAudit
	}
	if name == "" {
		return nil, nil
	}
	l, err := audit.Open(name, log)
	if err != nil {
		return nil, usagef("the audit log (--audit-log, audit.enable): %w", err)
	}
	log.Info("every change is noted in the audit log", "file", name)
	l.Add(&audit.Event{User: audit.ServerUser(), Operation: audit.OpStart, Result: audit.Success})
	return l, nil
}

// closeAudit notes the stop. Nothing is lost that was added before.
func (s *settings) closeAudit(l *audit.Log, log *slog.Logger) {
	l.Add(&audit.Event{User: audit.ServerUser(), Operation: audit.OpStop, Result: audit.Invoked})
	if err := closeWithin(closeTimeout, l.Close); err != nil {
		log.Error("closing the audit log", "error", err)
	}
}

// The places where ZooKeeper's scripts take system properties from (zkEnv.sh, zkServer.sh).
var jvmVariables = []string{"SERVER_JVMFLAGS", "JVMFLAGS"}

const (
	jaasProperty    = "java.security.auth.login.config"
	sectionProperty = "zookeeper.sasl.serverconfig"
	defaultSection  = "Server"
)

// takeJVM takes what ZooKeeper's environment says where neither a flag nor the file does.
func (i *identities) takeJVM(lookup func(string) string) {
	for _, variable := range jvmVariables {
		for word := range strings.FieldsSeq(lookup(variable)) {
			if file, ok := strings.CutPrefix(word, "-D"+jaasProperty+"="); ok && i.jaas == "" {
				i.jaas, i.jaasFromEnv = file, true
			}
			if section, ok := strings.CutPrefix(word, "-D"+sectionProperty+"="); ok && i.loginSection == "" {
				i.loginSection = section
			}
		}
	}
}

// security is how clients of this server prove who they are. Its errors are usage errors.
func (s *settings) security(log *slog.Logger) (server.Security, error) {
	f := &s.file.Security
	c := server.Security{SASLInACLs: f.SASLProvider, SuperUsers: f.SuperUsers, KeepFailedSASL: f.KeepFailedSASL, DigestAlgorithm: f.DigestAlg, NoDigest: f.NoDigest,
		SkipACL: f.SkipACL, AnySASLUser: f.AnySASLUser}
	switch {
	case f.RequireSASL:
		c.Enforce = []string{"sasl"}
	case f.Enforce && len(f.EnforceSchemes) == 0:
		return c, usagef("enforce.auth.enabled=true needs enforce.auth.schemes, such as sasl,x509")
	case f.Enforce:
		c.Enforce = f.EnforceSchemes
	}
	if c.SkipACL {
		log.Warn("skipACL=yes: every client may do everything")
	}
	i := s.identities
	if i.jaas == "" {
		i.jaas = f.JAASFile
	}
	i.loginSection = f.LoginSection
	i.takeJVM(os.Getenv)
	var err error
	if c.SASL, err = i.mechanisms(s, log); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// mechanisms are the SASL mechanisms that there is something for: users, a keytab.
func (i *identities) mechanisms(s *settings, log *slog.Logger) ([]sasl.Mechanism, error) {
	f := &s.file.Security
	users := sasl.NewUsers()
	if i.saslUsers != "" {
		text, err := readSecret(i.saslUsers, log)
		if err == nil {
			err = users.ReadFile(text)
		}
		if err != nil {
			return nil, fmt.Errorf("--sasl-users %s: %w", i.saslUsers, err)
		}
	}
	if err := i.takeJAAS(users, log); err != nil {
		return nil, fmt.Errorf("the JAAS file %s (--jaas, %s): %w", i.jaas, jaasProperty, err)
	}
	if f.SuperPassword != "" {
		if err := users.SetPassword("super", f.SuperPassword); err != nil {
			return nil, fmt.Errorf("SASLAuthenticationProvider.superPassword: %w", err)
		}
	}
	var all []sasl.Mechanism
	for _, m := range users.Mechanisms() {
		if m.Name() == "DIGEST-MD5" && f.FIPS {
			log.Warn("fips-mode=true: no client can authenticate itself by DIGEST-MD5")
			continue
		}
		all = append(all, m)
	}
	switch {
	case (i.keytab == "") != (i.principal == ""):
		return nil, errors.New("--krb5-keytab and --krb5-principal need each other")
	case i.keytab != "":
		a, err := krb5.Load(i.keytab, i.principal, sasl.Names{RemoveHost: f.RemoveHost, RemoveRealm: f.RemoveRealm, Rules: f.NameRules})
		if err != nil {
			return nil, fmt.Errorf("--krb5-keytab, --krb5-principal (keyTab, principal): %w", err)
		}
		all = append(all, a)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Name())
	}
	if len(names) > 0 {
		log.Info("clients can authenticate themselves by SASL", "mechanisms", names, "users", users.Len())
	}
	return all, nil
}

// takeJAAS takes the users and the keytab of a JAAS file's section.
func (i *identities) takeJAAS(users *sasl.Users, log *slog.Logger) error {
	if i.jaas == "" {
		return nil
	}
	text, err := readSecret(i.jaas, log)
	if err != nil {
		return err
	}
	sections, err := sasl.ParseJAAS(text)
	if err != nil {
		return err
	}
	name := i.loginSection
	if name == "" {
		name = defaultSection
	}
	logins, ok := sections[name]
	switch {
	case !ok && i.jaasFromEnv: // as ZooKeeper: the file may be there for others
		log.Warn("the JAAS file has no section for servers, so there is no SASL", "file", i.jaas, "section", name)
	case !ok:
		return fmt.Errorf("it has no section %s", name)
	}
	for k := range logins {
		if err := i.takeLogin(&logins[k], users, log); err != nil {
			return fmt.Errorf("section %s: %w", name, err)
		}
	}
	return nil
}

func (i *identities) takeLogin(l *sasl.Login, users *sasl.Users, log *slog.Logger) error {
	switch {
	case l.IsDigest():
		return l.AddTo(users)
	case !l.IsKrb5():
		log.Warn("the JAAS file has a module that nothing here knows", "module", l.Module)
		return nil
	case i.keytab != "" || i.principal != "": // a flag wins
		return nil
	}
	if i.keytab, i.principal = l.Option("keyTab"), l.Option("principal"); i.keytab == "" || i.principal == "" {
		return errors.New("Krb5LoginModule needs keyTab and principal: a server's key is in a keytab")
	}
	return nil
}

// readSecret reads a file of passwords or verifiers.
func readSecret(name string, log *slog.Logger) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.Mode().Perm()&0o044 != 0 {
		log.Warn("a file of passwords can be read by others; take that right away (chmod 600)", "file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, sasl.MaxFileBytes+1))
	if err == nil && len(text) > sasl.MaxFileBytes {
		err = fmt.Errorf("it is longer than %d bytes", sasl.MaxFileBytes)
	}
	return text, err
}

// maxPasswordLine bounds what sasl-user reads.
const maxPasswordLine = 4096

func newSASLUserCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sasl-user NAME",
		Short: "Print the lines for a user of the file that serve --sasl-users takes",
		Long: `Print the lines for a user of the file that serve --sasl-users takes, one for DIGEST-MD5 and one for SCRAM-SHA-256.

The password is read from standard input, up to the end of its first line. The lines hold verifiers and not the password. Keep them secret all the same: who has the one
for DIGEST-MD5 can log in with it, and the one for SCRAM-SHA-256 lets passwords be tried.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			lines, err := sasl.Lines(args[0], password)
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), lines)
			return err
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}

// readPassword reads a line, without showing it if somebody types it.
func readPassword(in io.Reader, prompt io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if _, err := fmt.Fprint(prompt, "password: "); err != nil {
			return "", err
		}
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(prompt)
		return string(b), err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPasswordLine))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), err
}
