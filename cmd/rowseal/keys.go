package main

import "github.com/spf13/cobra"

func newKeys() *cobra.Command {
	c := group(&cobra.Command{Use: "keys", Short: "Create, list and rotate keys"})
	c.AddCommand(newKeysCreate(), newKeysList(), newKeysRotate())
	return c
}
