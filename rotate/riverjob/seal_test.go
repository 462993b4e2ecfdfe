package riverjob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
	"github.com/rowseal/rowseal/rotate/riverjob"
)

// lettersPolicy has a table with a column in transition.
func lettersPolicy() (*field.Policy, error) {
	text, err := codec.ParseType("text")
	if err != nil {
		return nil, err
	}
	letters, err := field.NewTable(field.TableConfig{
		Name: "letters", Tenant: field.TenantSource{Column: "tenant"}, RowID: "id",
		Columns: []field.ColumnConfig{{
			Name: "email_sealed", ID: "email", Type: text, Search: field.Search{Equality: true},
			Transition: field.Transition{Plain: "email", Both: true},
		}},
	})
	if err != nil {
		return nil, err
	}
	return field.NewPolicy(letters)
}

// newMove has pages of the usual size: what is left for the swap must fit one.
func newMove(cfg rotate.Config, p *field.Policy) (*rotate.Move, error) {
	cfg.PageSize = 0
	return rotate.NewMove(cfg, p.Table("letters"), "email", rotate.MoveOptions{LockTimeout: 200 * time.Millisecond, AcceptOrder: true})
}

func lettersJob(kind rotate.Kind, p *field.Policy) rotate.Job {
	return rotate.Job{Kind: kind, Table: p.Table("letters"), Columns: []string{"email_sealed"}}
}

// sealLetters is an operator's `rowseal rotate seal --step prepare,backfill,swap --workers river`.
func sealLetters(ctx context.Context, _ *machine, cfg riverjob.Config) error {
	p, err := lettersPolicy()
	if err != nil {
		return err
	}
	cfg.Policy = p
	move, err := newMove(cfg.Rotate, p)
	if err != nil {
		return err
	}
	if err := move.Prepare(ctx); err != nil {
		return err
	}
	r, err := riverjob.New(ctx, cfg)
	if err != nil {
		return err
	}
	if _, err := r.Run(ctx, lettersJob(rotate.Seal, p)); err != nil {
		return err
	}
	return move.Swap(ctx)
}

// newLetters has n rows in clear.
func newLetters(t *testing.T, n int) *machine {
	t.Helper()
	m := newMachine(t, 0)
	m.exec(t, "CREATE TABLE letters (id bigint PRIMARY KEY, tenant text NOT NULL, email text NOT NULL)")
	m.exec(t, "INSERT INTO letters SELECT i, 'tenant-' || i % 3, 'user' || i FROM generate_series(1, $1::int) i", n)
	return m
}

// letters checks that the sealed column opens to what was written last.
func (m *machine) letters(t *testing.T, column string, n int, written map[int]string) {
	t.Helper()
	p, err := lettersPolicy()
	must(t, err)
	rows, err := m.db.QueryContext(t.Context(), "SELECT id, tenant, "+column+" FROM letters")
	must(t, err)
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var id int
		var tenant, got string
		var sealed []byte
		must(t, rows.Scan(&id, &tenant, &sealed))
		must(t, m.cipher.Open(t.Context(), &got, p.Table("letters").Columns()[0], field.Row{Tenant: tenant, ID: int64(id)}, sealed))
		want := written[id]
		if want == "" {
			want = fmt.Sprintf("user%d", id)
		}
		if got != want {
			t.Fatalf("row %d: %q, want %q", id, got, want)
		}
		seen++
	}
	must(t, rows.Err())
	if seen != n {
		t.Fatalf("%d rows, want %d", seen, n)
	}
}

// TestAColumnIsSealedByMachinesOneKilled: three operators start the same, prepare and swap included, and one of them is
// killed within the backfill; the others end it and meet at the swap. Programs that know the plain column only go on writing until the swap.
func TestAColumnIsSealedByMachinesOneKilled(t *testing.T) {
	const n = 1000
	m := newLetters(t, n)
	var outputs [3]bytes.Buffer
	killed := start(t, m.place, "seal", &outputs[0])
	survivors := []*exec.Cmd{start(t, m.place, "seal", &outputs[1]), start(t, m.place, "seal", &outputs[2])}

	written, turn := map[int]string{}, 0
	write := func() {
		turn++
		id := turn*37%n + 1
		mail := fmt.Sprintf("mail %d", turn)
		result, err := m.db.ExecContext(t.Context(), "UPDATE letters SET email = $1 WHERE id = $2", mail, id)
		if err != nil { // the plain column's name is the sealed one's by now
			return
		}
		if rows, err := result.RowsAffected(); err != nil || rows != 1 {
			t.Fatalf("%d rows, %v", rows, err)
		}
		written[id] = mail
	}
	victim := fmt.Sprintf(":%d", killed.Process.Pid)
	m.awaitJob(t, func(s rotate.Status) bool {
		write()
		return s.Counts["rows"] > n/5 && strings.Contains(strings.Join(s.Owners, " "), victim)
	})
	must(t, killed.Process.Kill())
	_ = killed.Wait() // it was killed
	ended := make(chan error, len(survivors))
	for _, c := range survivors {
		go func() { ended <- c.Wait() }()
	}
	for left := len(survivors); left > 0; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s%s", err, outputs[1].String(), outputs[2].String())
			}
			left--
		case <-time.After(20 * time.Millisecond):
			write()
		}
	}

	s := m.awaitJob(t, func(s rotate.Status) bool { return s.State == rotate.StateDone })
	if c := s.Counts; s.Kind != rotate.Seal || c["rows"] != n || c["values"] != n || c["sealed"]+c["current"] != n || c["failed"]+c["checked"] != 0 {
		t.Errorf("%s counted %v", s.Kind, c)
	}
	m.letters(t, "email", n, written)
	m.planned(t)
	for kind, want := range map[string]int{"rowseal_range": 8, "rowseal_check": 0, "rowseal_finish": 1} {
		if got := m.inRiver(t, kind); got["completed"] != want || len(got) > 1 {
			t.Errorf("%s: %v, want %d completed", kind, got, want)
		}
	}
}

// TestAColumnIsUnsealedByMachines: the way back.
func TestAColumnIsUnsealedByMachines(t *testing.T) {
	const n = 300
	m := newLetters(t, n)
	p, err := lettersPolicy()
	must(t, err)
	cfg := m.config()
	cfg.Policy = p
	must(t, sealLetters(t.Context(), m, cfg))
	move, err := newMove(cfg.Rotate, p)
	must(t, err)
	must(t, move.Drop(t.Context()))
	must(t, move.Reopen(t.Context()))
	result, err := newRunner(t, cfg).Run(t.Context(), lettersJob(rotate.Unseal, p))
	must(t, err)
	counted(t, result.Counts, map[string]int64{"rows": n, "values": n, "unsealed": n})
	must(t, move.DropSealed(t.Context()))
	m.await(t, fmt.Sprintf("SELECT count(*) = %d FROM letters WHERE email = 'user' || id", n))
}

// TestAValueThatCannotBeSealedIsFoundByMachines: it stays, and no swap takes place over it.
func TestAValueThatCannotBeSealedIsFoundByMachines(t *testing.T) {
	m := newLetters(t, 100)
	m.exec(t, "UPDATE letters SET tenant = '' WHERE id = 7")
	cfg := m.config()
	cfg.Policy = nil // sealLetters has its own
	err := sealLetters(t.Context(), m, cfg)
	if !errors.Is(err, rotate.ErrIncomplete) || !strings.Contains(err.Error(), "row id=7") {
		t.Fatalf("got %v", err)
	}
	p, err := lettersPolicy()
	must(t, err)
	move, err := newMove(cfg.Rotate, p)
	must(t, err)
	if stage, err := move.Stage(t.Context()); stage != rotate.StagePrepared || err != nil {
		t.Errorf("the column is %s: %v", stage, err)
	}
}
