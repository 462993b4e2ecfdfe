package main

import "github.com/spf13/cobra"

func newRotate() *cobra.Command {
	c := group(&cobra.Command{Use: "rotate", Short: "Bring stored keys and values up to date"})
	c.AddCommand(newRotateRewrap(), newRotateReseal(), newRotateVerify(), newRotateSeal(), newRotateUnseal(),
		newRotateShred(), newRotateDue(),
		newRotateStatus(), newRotatePause(), newRotateResume(), newRotateSpeed(), newRotateCancel())
	return c
}
