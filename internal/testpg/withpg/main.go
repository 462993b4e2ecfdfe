// Command withpg runs a command with a PostgreSQL for its tests, with -mysql also with a MariaDB:
//
//	go run ./internal/testpg/withpg -mysql go test ./...
//
// The command finds the servers in ROWSEAL_TEST_DSN and ROWSEAL_TEST_MYSQL, so that all packages share
// them. A server that a variable already names is used as it is; else one is started from local
// binaries, else in a container, and gone when the command ends. withpg ends with the command's exit
// status.
//
// With -serve it runs no command: it prints the connection string of the PostgreSQL, with -mysql of the
// MariaDB, and serves until its input ends.
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

	"github.com/rowseal/rowseal/internal/localmysql"
	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
)

// startTimeout leaves time to pull a container image.
const startTimeout = 2 * time.Minute

func main() {
	serve := flag.Bool("serve", false, "print the connection string and serve until standard input ends")
	mysql := flag.Bool("mysql", false, "start a MariaDB, too; with -serve in place of PostgreSQL")
	flag.Parse()
	wanted := []product{pg}
	switch {
	case *mysql && *serve:
		wanted = []product{mariadb}
	case *mysql:
		wanted = []product{pg, mariadb}
	}
	status, err := run(*serve, wanted, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpg:", err)
	}
	os.Exit(status)
}

// product is a server to start and the variable that names it. Its functions return the connection
// string and how to stop it.
type product struct {
	env        string
	noBinaries error
	local      func(ctx context.Context) (string, func() error, error)
	container  func(ctx context.Context) (string, func() error, error)
}

var (
	pg = product{
		env: testpg.EnvDSN, noBinaries: localpg.ErrNoBinaries, container: startContainer,
		local: func(ctx context.Context) (string, func() error, error) {
			s, err := localpg.Start(ctx, localpg.Config{Settings: testpg.Settings()})
			if err != nil {
				return "", nil, err
			}
			return s.DSN("postgres"), s.Stop, nil
		},
	}
	mariadb = product{
		env: testmysql.EnvDSN, noBinaries: localmysql.ErrNoBinaries, container: startMariaDB,
		local: func(ctx context.Context) (string, func() error, error) {
			s, err := localmysql.Start(ctx, localmysql.Config{Options: testmysql.Options()})
			if err != nil {
				return "", nil, err
			}
			return s.DSN(""), s.Stop, nil
		},
	}
)

func run(serve bool, wanted []product, command []string) (status int, err error) {
	if serve == (len(command) > 0) {
		return 2, errors.New("usage: withpg [-mysql] COMMAND [ARGUMENT…] | withpg -serve [-mysql]")
	}
	// The command and this program get Ctrl-C alike; the command ends by it, and then this one does.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)

	environment := os.Environ()
	for _, p := range wanted {
		dsn, stop, err := p.start()
		if err != nil {
			return 1, err
		}
		defer func() {
			if stopErr := stop(); stopErr != nil {
				fmt.Fprintln(os.Stderr, "withpg:", stopErr)
				status = 1
			}
		}()
		if serve {
			fmt.Println(dsn)
		}
		environment = append(environment, p.env+"="+dsn)
	}
	if serve {
		return 0, untilInputEnds(signals)
	}
	return execute(command, environment)
}

// start returns a server's connection string and how to stop it.
func (p product) start() (string, func() error, error) {
	if dsn := os.Getenv(p.env); dsn != "" {
		return dsn, func() error { return nil }, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dsn, stop, err := p.local(ctx)
	if !errors.Is(err, p.noBinaries) {
		return dsn, stop, err
	}
	dsn, stop, containerErr := p.container(ctx)
	if containerErr != nil {
		return "", nil, fmt.Errorf("%w; no container either: %w", err, containerErr)
	}
	return dsn, stop, nil
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
func execute(command, environment []string) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = environment
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
