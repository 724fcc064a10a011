package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const (
	defaultAdmin = "127.0.0.1:8080"
	// maxTopBytes bounds what a server may answer.
	maxTopBytes = 4 << 20
)

// topFlags is what top was told.
type topFlags struct {
	admin   []string
	url     string
	n       int
	json    bool
	timeout time.Duration
	tls     shellTLS
}

func newTopCmd() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show who sends the most requests: clients, path prefixes, operations",
		Long: `Show who sends the most requests: clients, path prefixes, operations, and the three together, as requests per second over about the last minute and
a half. Each server knows its own clients: name the admin ports of all of them.

A request counts for each prefix of its path, so shares of prefixes add up to more than 100 %.

Exit codes: 0 done, 1 any other failure, 2 wrong usage, 8 cannot connect.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&f.admin, "admin", []string{defaultAdmin}, "admin ports of the servers, as http://host:port, https://host:port or host:port")
	fs.StringVar(&f.url, "command-url", "/commands", "path of the admin port's commands (admin.commandURL)")
	fs.IntVarP(&f.n, "number", "n", 10, "how many of each list")
	fs.BoolVar(&f.json, "json", false, "print JSON, one line for each server")
	fs.DurationVar(&f.timeout, "timeout", defaultTimeout, "how long to wait for an answer")
	f.tls.flags(fs)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}

// topAnswer is what a server says.
type topAnswer struct {
	Rate         float64   `json:"requests_per_second"`
	OneOf        int64     `json:"looked_at_one_of"`
	Clients      []topLine `json:"clients"`
	Prefixes     []topLine `json:"path_prefixes"`
	Operations   []topLine `json:"operations"`
	Combinations []topLine `json:"combinations"`
	Error        string    `json:"error"`
}

type topLine struct {
	Client    string  `json:"client"`
	Operation string  `json:"operation"`
	Path      string  `json:"path"`
	Rate      float64 `json:"requests_per_second"`
	Writes    float64 `json:"writes_per_second"`
	Bytes     float64 `json:"bytes_per_second"`
	Share     float64 `json:"share"`
}

func (l *topLine) name() string {
	return strings.Join(strings.Fields(l.Client+" "+l.Operation+" "+l.Path), " ")
}

func (f *topFlags) run(ctx context.Context, out io.Writer) error {
	if f.n < 1 {
		return usagef("--number %d: give 1 or more", f.n)
	}
	config, err := f.tls.config()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var failed error
	for _, admin := range f.admin {
		text, answer, err := f.ask(ctx, client, adminURL(admin, config != nil))
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", admin, err))
		case f.json:
			if _, err := out.Write(append(text, '\n')); err != nil {
				return err
			}
		default:
			if err := answer.writeText(out, admin); err != nil {
				return err
			}
		}
	}
	return failed
}

// adminURL is the address of an admin port that may have been given without a scheme.
func adminURL(admin string, secure bool) string {
	switch {
	case strings.Contains(admin, "://"):
		return admin
	case secure:
		return "https://" + admin
	}
	return "http://" + admin
}

// ask gets one server's answer, also as compact JSON.
func (f *topFlags) ask(ctx context.Context, client *http.Client, admin string) ([]byte, *topAnswer, error) {
	u, err := url.Parse(admin)
	if err != nil || u.Host == "" {
		return nil, nil, usagef("--admin %q is not host:port", admin)
	}
	u.Path, u.RawQuery = f.url+"/top", "n="+strconv.Itoa(f.n)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, usageError{err}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxTopBytes))
	if err != nil {
		return nil, nil, err
	}
	var answer topAnswer
	var compact json.RawMessage
	if json.Unmarshal(b, &answer) != nil || json.Unmarshal(b, &compact) != nil {
		return nil, nil, fmt.Errorf("there is no Gopherwood's admin port: status %s", resp.Status)
	}
	if answer.Error != "" {
		return nil, nil, errors.New(answer.Error)
	}
	text, err := json.Marshal(compact)
	return text, &answer, err
}

func (a *topAnswer) writeText(out io.Writer, admin string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s: %.1f requests/s\n", admin, a.Rate)
	for _, list := range []struct {
		title string
		lines []topLine
	}{{"client", a.Clients}, {"path prefix", a.Prefixes}, {"operation", a.Operations}, {"together", a.Combinations}} {
		fmt.Fprintf(w, "\n%s\trequests/s\twrites/s\tKiB/s\tshare\n", list.title)
		for _, l := range list.lines {
			fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.0f %%\n", l.name(), l.Rate, l.Writes, l.Bytes/1024, 100*l.Share)
		}
	}
	fmt.Fprintln(w)
	return w.Flush()
}
