package main

import "github.com/spf13/cobra"

func newKeys() *cobra.Command {
	c := group(&cobra.Command{Use: "keys", Short: "Create, list, rotate, end, export and import keys"})
	c.AddCommand(newKeysCreate(), newKeysDestroy(), newKeysExport(), newKeysImport(), newKeysList(), newKeysRetire(), newKeysRotate())
	return c
}
