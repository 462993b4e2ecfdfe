package main

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "rowseal %s\n%s %s/%s, FIPS 140-3 mode %s\n",
				version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, onOff(fips140.Enabled()))
			return err
		},
	}
}

// version is what the Go toolchain wrote into the program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v, revision, dirty := info.Main.Version, "", ""
	if v == "" {
		v = "(devel)"
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	if revision != "" {
		v += " (" + revision + dirty + ")"
	}
	return v
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
