// Command gopherwood is the whole of Gopherwood in one program: the server, three of them for a laptop, the shell tool, and the load
// generator. "gopherwood help" lists the commands; README.md tours them.
//
//	serve      one server of an ensemble, or one alone      serve.go, settings.go, gc.go, procs.go
//	dev        three servers on this machine                dev.go
//	get …      the shell tool                               shell.go and the files of its commands
//	status     members, leader, lag                         status.go
//	top        who sends the most requests                  top.go
//	cluster    members, backups, the log, of every service that embeds replica     cluster.go and the files beside it
//	bench      load                                         bench.go
//
// It decides nothing itself: it reads flags and files, starts packages, and turns errors into one sentence and an exit code (exit.go).
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	if err := newRootCmd().ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "gopherwood: "+explain(err))
		os.Exit(exitCode(err))
	}
}

// newRootCmd is the program with all its commands.
func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "gopherwood",
		Short:         "A coordination service for every ZooKeeper client, replicated with Raft",
		Version:       buildVersion().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q; gopherwood help lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServeCmd(), newDevCmd(), newSASLUserCmd())
	root.AddCommand(shellCommands()...)
	root.AddCommand(newBenchCmd(), newClusterCmd(), newVersionCmd())
	return root
}
