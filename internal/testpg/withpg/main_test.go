package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
)

func TestRunEndsWithTheCommandsStatus(t *testing.T) {
	t.Setenv(testpg.EnvDSN, "postgres://somewhere/else")
	t.Setenv(testmysql.EnvDSN, "root@tcp(somewhere)/")
	for _, tt := range []struct {
		name    string
		command []string
		status  int
		is      error
	}{
		{"success", []string{"sh", "-c", "exit 0"}, 0, nil},
		{"failure", []string{"sh", "-c", "exit 3"}, 3, nil},
		{"death by a signal", []string{"sh", "-c", "kill -KILL $$"}, 1, nil},
		{"a command that is not there", []string{"rowseal-no-such-command"}, 1, exec.ErrNotFound},
		{"the server that the caller named", []string{"sh", "-c", `test "$ROWSEAL_TEST_DSN $ROWSEAL_TEST_MYSQL" = "postgres://somewhere/else root@tcp(somewhere)/"`}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, err := run(false, []product{pg, mariadb}, tt.command)
			if status != tt.status || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("got status %d, %v; want %d, %v", status, err, tt.status, tt.is)
			}
		})
	}
}

func TestRunWithoutOneThingToDoSaysHow(t *testing.T) {
	for _, tt := range []struct {
		name    string
		serve   bool
		command []string
	}{
		{"neither command nor -serve", false, nil},
		{"both", true, []string{"true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, err := run(tt.serve, []product{pg}, tt.command); status != 2 || err == nil {
				t.Errorf("got status %d, %v", status, err)
			}
		})
	}
}

func TestRunStartsAServerWhereNoneIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	for _, p := range []product{pg, mariadb} {
		t.Run(p.env, func(t *testing.T) {
			t.Setenv(p.env, "")
			seen := t.TempDir() + "/dsn"
			status, err := run(false, []product{p}, []string{"sh", "-c", `printf %s "$` + p.env + `" >` + seen})
			if status != 0 || err != nil {
				t.Fatalf("got status %d, %v", status, err)
			}
			dsn, err := os.ReadFile(seen)
			if err != nil || len(dsn) == 0 {
				t.Errorf("the command found no server: %q, %v", dsn, err)
			}
		})
	}
}
