package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"gopherwood/replica"
)

func newRestoreCmd() *cobra.Command {
	var dir string
	var id uint16
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore FILE --data-dir DIR --id ID",
		Short: "Make a data directory out of a backup, for a server that is not running",
		Long: `Make a data directory out of a backup, for a server that is not running.

To restore an ensemble: stop all of its servers and put their data directories aside; restore to one server; start all, the others with empty
directories, configured as ever. The others join the restored one and become voters as soon as all of them are there. What is written between the
backup and now is lost. It works for every service that embeds package replica; give the directory that the service gives to it.

Exit codes: 0 done, 1 any other failure, 2 wrong usage.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" || id == 0 {
				return usagef("--data-dir and --id are required: where the state goes, and the number of the server that will have it")
			}
			f, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			defer f.Close()
			info, err := replica.Restore(replica.RestoreConfig{Dir: dir, ServerID: id, Logger: slog.New(slog.DiscardHandler)}, f)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(info)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s holds the state of %s at index %d; start server %d with it, and the others with empty directories\n", dir, info.Machine, info.Index, id)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "data-dir", "", "the data directory to make; it must be empty or not be there")
	f.Uint16Var(&id, "id", 0, "the number of the server that will use it")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return cmd
}
