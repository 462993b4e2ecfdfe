// Command withpg runs a command with a PostgreSQL for its tests:
//
//	go run ./internal/testpg/withpg go test ./...
//
// The command finds the server in ROWSEAL_TEST_DSN, so that all packages share one. A server that the
// variable already names is used as it is; else one is started from local binaries, else in a
// container, and gone when the command ends. withpg ends with the command's exit status.
//
// With -serve it runs no command: it prints the connection string and serves until its input ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/internal/testpg"
)

// startTimeout leaves time to pull a container image.
const startTimeout = 2 * time.Minute

func main() {
	serve := flag.Bool("serve", false, "print the connection string and serve until standard input ends")
	flag.Parse()
	status, err := run(*serve, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(status)
}

func run(serve bool, command []string) (status int, err error) {
	if serve == (len(command) > 0) {
		return 2, errors.New("usage: withpg COMMAND [ARGUMENT…] | withpg -serve")
	}
	// The command and this program get Ctrl-C alike; the command ends by it, and then this one does.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)

	dsn, stop, err := server()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := stop(); stopErr != nil {
			status, err = 1, errors.Join(err, stopErr)
		}
	}()
	if serve {
		fmt.Println(dsn)
		return 0, untilInputEnds(signals)
	}
	return execute(command, dsn)
}

// server returns a server's connection string and how to stop it.
func server() (string, func() error, error) {
	if dsn := os.Getenv(testpg.EnvDSN); dsn != "" {
		return dsn, func() error { return nil }, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	local, err := localpg.Start(ctx, localpg.Config{Settings: testpg.Settings()})
	if errors.Is(err, localpg.ErrNoBinaries) {
		dsn, stop, containerErr := startContainer(ctx)
		if containerErr != nil {
			return "", nil, fmt.Errorf("%w; no container either: %w", err, containerErr)
		}
		return dsn, stop, nil
	}
	if err != nil {
		return "", nil, err
	}
	return local.DSN("postgres"), local.Stop, nil
}

func untilInputEnds(signals <-chan os.Signal) error {
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-signals:
		return nil
	}
}

// execute runs the command and returns its exit status.
func execute(command []string, dsn string) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), testpg.EnvDSN+"="+dsn)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
