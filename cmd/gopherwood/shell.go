package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gopherwood/client"
	"gopherwood/zk"
)

const (
	defaultServer    = "127.0.0.1:2181"
	serverVariable   = "GOPHERWOOD_SERVER"
	passwordVariable = "GOPHERWOOD_SASL_PASSWORD"
	defaultTimeout   = 10 * time.Second
	// connectRounds is how often the shell tries all servers: about a second, which outlives most elections and does not
	// make a person wait for servers that are down.
	connectRounds = 6
	// maxInputBytes bounds data from a file or standard input; servers take about 1 MiB.
	maxInputBytes = 64 << 20
)

// shellCommands is the commands that talk to a server as its client.
func shellCommands() []*cobra.Command {
	return []*cobra.Command{
		newGetCmd(), newSetCmd(), newLsCmd(), newCreateCmd(), newDeleteCmd(), newDeleteAllCmd(), newStatCmd(), newWatchCmd(),
		newACLCmd(), newSyncCmd(), newMultiCmd(), newWhoAmICmd(), newEphemeralsCmd(), newStatusCmd(), newTopCmd(),
	}
}

// shell is the flags that all shell commands have, and what they print with.
type shell struct {
	server  string
	json    bool
	timeout time.Duration
	auth    []string
	sasl    string
	tls     shellTLS
}

// action is what a command does once it is connected. Its context ends with the timeout.
type action func(ctx context.Context, c *client.Client) error

// command makes a shell command. plan looks at the arguments, before there is a connection, and says what to do with one.
func (s *shell) command(use, short, long string, args cobra.PositionalArgs, plan func(cmd *cobra.Command, args []string) (action, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  strings.ReplaceAll(short+".\n\n"+long+"\n\n"+exitCodesHelp, "\n\n\n\n", "\n\n"),
		Args:  usageArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			do, err := plan(cmd, args)
			if err != nil {
				return err
			}
			return s.with(cmd, do)
		},
	}
	s.flags(cmd)
	return cmd
}

// onPath is the plan of a command whose first argument is a path, "/" if it is left out.
func onPath(do func(ctx context.Context, c *client.Client, path string, out io.Writer) error) func(*cobra.Command, []string) (action, error) {
	return func(cmd *cobra.Command, args []string) (action, error) {
		path := append(args, zk.Root)[0]
		if err := checkPath(path); err != nil {
			return nil, err
		}
		return func(ctx context.Context, c *client.Client) error { return do(ctx, c, path, cmd.OutOrStdout()) }, nil
	}
}

func (s *shell) flags(cmd *cobra.Command) {
	server := os.Getenv(serverVariable)
	if server == "" {
		server = defaultServer
	}
	f := cmd.Flags()
	f.StringVar(&s.server, "server", server, "servers, as host:port,host:port[/chroot]; default from "+serverVariable)
	f.BoolVar(&s.json, "json", false, "print JSON")
	f.DurationVar(&s.timeout, "timeout", defaultTimeout, "how long to wait for an answer in all")
	f.StringArrayVar(&s.auth, "auth", nil, "identity to prove, as scheme:credentials (digest:user:password); may be repeated")
	f.StringVar(&s.sasl, "sasl", "", "SASL login, as mechanism:user or mechanism:user:password with digest-md5 or scram-sha-256; the password is otherwise "+
		"taken from "+passwordVariable)
	s.tls.flags(f)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
}

// usageArgs marks a wrong number of arguments as wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}

// with connects, does it and closes the session.
func (s *shell) with(cmd *cobra.Command, do action) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), s.timeout)
	defer cancel()
	c, err := s.connect(ctx, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	return do(ctx, c)
}

func (s *shell) connect(ctx context.Context, o client.Options) (*client.Client, error) {
	if _, _, err := client.ParseServers(s.server); err != nil {
		return nil, usageError{err}
	}
	for _, a := range s.auth {
		scheme, credentials, ok := strings.Cut(a, ":")
		if !ok || scheme == "" {
			return nil, usagef("--auth must be scheme:credentials, as in digest:user:password")
		}
		o.Auth = append(o.Auth, client.Auth{Scheme: scheme, Auth: []byte(credentials)})
	}
	if s.sasl != "" {
		login, err := saslLogin(s.sasl)
		if err != nil {
			return nil, err
		}
		o.SASL = login
	}
	var err error
	if o.TLS, err = s.tls.config(); err != nil {
		return nil, err
	}
	o.ConnectRounds = connectRounds
	return client.Connect(ctx, s.server, o)
}

// saslLogin reads mechanism:user[:password]. Its errors do not repeat it.
func saslLogin(text string) (*client.SASL, error) {
	mechanism, rest, _ := strings.Cut(text, ":")
	user, password, given := strings.Cut(rest, ":")
	if !given {
		password, given = os.LookupEnv(passwordVariable)
	}
	switch mechanism = strings.ToUpper(mechanism); {
	case user == "" || (mechanism != "DIGEST-MD5" && mechanism != "SCRAM-SHA-256"):
		return nil, usagef("--sasl must be mechanism:user or mechanism:user:password, with digest-md5 or scram-sha-256, as in scram-sha-256:bob")
	case !given:
		return nil, usagef("--sasl has no password; put it into the environment variable %s, or behind the user", passwordVariable)
	}
	return &client.SASL{Mechanism: mechanism, User: user, Password: password}, nil
}

// until is a context that also ends with Ctrl-C or SIGTERM.
func until(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// emit prints v as one line of JSON if asked to, or else calls text.
func (s *shell) emit(w io.Writer, v any, text func(w io.Writer) error) error {
	if s.json {
		return json.NewEncoder(w).Encode(v)
	}
	return text(w)
}

// isTerminal says whether w is a person's screen.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readData is data from the command line: the argument itself, "-" for standard input, "@name" for a file.
func readData(arg string, stdin io.Reader) ([]byte, error) {
	var r io.Reader
	switch {
	case arg == "-":
		r = stdin
	case strings.HasPrefix(arg, "@"):
		f, err := os.Open(arg[1:])
		if err != nil {
			return nil, usageError{err}
		}
		defer f.Close()
		r = f
	default:
		return []byte(arg), nil
	}
	data, err := io.ReadAll(io.LimitReader(r, maxInputBytes+1))
	if err == nil && len(data) > maxInputBytes {
		err = fmt.Errorf("more than %d bytes of data", maxInputBytes)
	}
	return data, err
}

const dataHelp = `DATA is taken as it stands; "-" reads standard input, "@file" a file.`

// checkPath refuses a path that no node can have, before a connection is opened for it.
func checkPath(path string) error {
	if err := zk.ValidatePath(path); err != nil {
		return usageError{err}
	}
	return nil
}
