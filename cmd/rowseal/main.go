// Rowseal seals single columns of a database before they reach it. This
// program manages the keys that do so and looks at sealed values; run
// "rowseal help" for its commands, "rowseal demo" to see it at work.
//
// It exits with 0, with 1 where something failed, with 2 where it was called
// wrongly, and with 130 where it was interrupted. Errors go to the standard
// error stream, results to the standard output.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var usage *usageError
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(s.err, message(err))
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintln(s.err, message(err))
		fmt.Fprintf(s.err, "Run %q for the ways to call it.\n", usage.command+" --help")
		return exitUsage
	}
	fmt.Fprintln(s.err, message(err))
	return exitFailed
}

// message is err behind the program's name, which it says once.
func message(err error) string {
	return "rowseal: " + strings.TrimPrefix(err.Error(), "rowseal: ")
}

// usageError says that the program was called wrongly.
type usageError struct {
	command string // the command as far as it was understood
	text    string
}

func (e *usageError) Error() string { return e.text }
