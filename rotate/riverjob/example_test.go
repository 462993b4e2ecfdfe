package riverjob_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// A machine that begins a rewrap and works on it until it is done. Others call Work instead of Run meanwhile.
func ExampleRunner_Run() {
	ctx := context.Background()
	m, done := exampleMachine(ctx) // a pool, a key store, a policy with table people
	defer done()
	check(riverjob.Migrate(ctx, m.pool, "")) // once

	runner, err := riverjob.New(ctx, riverjob.Config{
		Rotate: rotate.Config{DB: m.db, Dialect: rotate.PostgreSQL, Keyring: m.ring, Workers: 2},
		Pool:   m.pool, Policy: m.policy,
	})
	check(err)
	result, err := runner.Run(ctx, rotate.Job{Kind: rotate.Rewrap, Table: m.policy.Table("people")})
	check(err)
	fmt.Println(result.Counts["rows"], "rows,", result.Counts["rewrapped"], "rewrapped,", result.Counts["due"], "due")
	// Output: 4 rows, 8 rewrapped, 0 due
}

// exampleMachine has four people whose tenants' keys were rotated.
func exampleMachine(ctx context.Context) (*machine, func()) {
	t := &exampleTB{ctx: ctx}
	m := newMachine(t, 4)
	m.rotate(t)
	return m, t.end
}

// exampleTB lets an example use what tests have.
type exampleTB struct {
	testing.TB // nil: what is not below is not called
	ctx        context.Context
	cleanups   []func()
}

func (t *exampleTB) Helper()                           {}
func (t *exampleTB) Context() context.Context          { return t.ctx }
func (t *exampleTB) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (t *exampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (t *exampleTB) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (t *exampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "riverjob")
	check(err)
	t.Cleanup(func() { check(os.RemoveAll(dir)) })
	return dir
}

func (t *exampleTB) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
