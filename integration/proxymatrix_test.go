package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// matrixReport is where the matrix is written to; "" is nowhere.
var matrixReport = flag.String("proxy-matrix", "", "write the proxy's statement matrix to this file")

// shape is a statement that is run through the proxy on the sealed database, and
// directly on its twin in clear: both must give the same, or the proxy refuses as the shape says.
type shape struct {
	// sql has $1, $2, … for args. Statements with args are run in simple form with
	// the args written as literals, in extended form and as prepared statements; those without, in
	// simple and extended form.
	sql  string
	args []any // string, or nil for NULL
	// refused is the SQLSTATE of the proxy's refusal; "" where the outcome is the twin's,
	// which may be an error too.
	refused string
	// hint must stand in the refusal's texts.
	hint string
	// setup are statements that are run before it, in the same transaction, in both places.
	setup []string
	// simple has the shape run in simple form only: texts with several statements.
	simple bool
	// ordered has the order of rows compared too.
	ordered bool
	// bare has it run outside of a transaction.
	bare bool
}

// form is a way to run a statement.
type form string

const (
	simpleForm   form = "simple"
	extendedForm form = "extended"
	preparedForm form = "prepared"
)

func (s *shape) forms() []form {
	if s.simple {
		return []form{simpleForm}
	}
	return []form{simpleForm, extendedForm, preparedForm}
}

// outcome is what a statement gave, in a form that can be compared.
type outcome struct {
	results []string
	err     *pgconn.PgError
	broken  error // of the connection
}

func TestTheProxyAnswersAsAPlainDatabaseOrRefuses(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) { answersOrRefuses(t, v.rig(t)) })
	}
}

func answersOrRefuses(t *testing.T, r *rig) {
	m := &matrix{rig: r, t: t}
	for _, group := range shapeGroups {
		t.Run(group.name, func(t *testing.T) {
			for _, s := range group.shapes {
				for _, f := range s.forms() {
					t.Run(string(f)+"/"+s.sql, func(t *testing.T) { m.run(t, group.name, &s, f) })
				}
			}
		})
	}
	assertNoCanary(t, "the server's log", r.Log.Bytes())
	m.dump(t)
	m.report(t)
}

// matrix runs shapes and keeps their outcomes.
type matrix struct {
	rig             *rig
	t               *testing.T
	through, twin   *pgconn.PgConn
	lines           []string
	same, refusals  int
	failed, dropped int
}

// connect gives living connections; one that a failed shape broke is replaced.
func (m *matrix) connect() {
	if m.through == nil || m.through.IsClosed() {
		m.through = connectPG(m.t, m.rig.Through)
	}
	if m.twin == nil || m.twin.IsClosed() {
		m.twin = connectPG(m.t, m.rig.Twin)
	}
}

func (m *matrix) run(t *testing.T, group string, s *shape, f form) {
	m.connect()
	m.rig.Tap.Take()
	through, twin := m.through, m.twin
	defer func() {
		if t.Failed() {
			m.failed++
		}
	}()
	if !s.bare {
		m.both(t, "BEGIN")
		defer m.both(t, "ROLLBACK")
	}
	for _, sql := range s.setup {
		m.both(t, sql)
	}
	got, want := execute(t, through, s, f), execute(t, twin, s, f)
	assertNoCanary(t, "the leg to the server", m.rig.Tap.Take())
	if got.broken != nil {
		m.dropped++
		t.Fatalf("the session is gone: %v", got.broken)
	}
	word := "as plain"
	if s.refused != "" {
		word = "refused " + s.refused
		m.refusals++
		m.refused(t, s, got)
	} else {
		m.same++
		m.compare(t, got, want)
		if got.err == nil && !s.bare && !strings.Contains(strings.Join(s.setup, " ")+s.sql, "rowseal.tenant") {
			m.compareTables(t)
		}
	}
	m.lines = append(m.lines, fmt.Sprintf("%s\t%s\t%s\t%s", group, f, word, s.sql))
}

func (m *matrix) both(t *testing.T, sql string) {
	t.Helper()
	for _, conn := range []*pgconn.PgConn{m.through, m.twin} {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), sql).ReadAll(); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func (m *matrix) refused(t *testing.T, s *shape, got outcome) {
	t.Helper()
	opening := strings.HasPrefix(s.sql, "SELECT") && s.refused == "42501"
	switch {
	case got.err == nil:
		t.Errorf("not refused: %v", got.results)
	case got.err.Code != s.refused:
		t.Errorf("refused with %s: %s (%s)", got.err.Code, got.err.Message, got.err.Hint)
	case !strings.Contains(got.err.Message+got.err.Detail+got.err.Hint, s.hint):
		t.Errorf("the refusal does not speak of %q: %s (%s)", s.hint, got.err.Message, got.err.Hint)
	}
	if got.err != nil {
		assertNoCanary(t, "the refusal", fmt.Appendf(nil, "%+v", *got.err))
	}
	// What the server did stands where its answer does not open: the transaction is its own.
	if status := m.through.TxStatus(); !s.bare && status != 'E' && got.err != nil && !opening {
		t.Errorf("the transaction goes on behind a refusal: %c", status)
	}
}

func (m *matrix) compare(t *testing.T, got, want outcome) {
	t.Helper()
	switch {
	case got.err != nil && want.err == nil:
		t.Errorf("failed: %s %s %s (%s)", got.err.Code, got.err.Message, got.err.Detail, got.err.Hint)
	case got.err == nil && want.err != nil:
		t.Errorf("the plain database fails with %s %s, this gave %v", want.err.Code, want.err.Message, got.results)
	case got.err != nil && got.err.Code != want.err.Code:
		t.Errorf("failed with %s %s, the plain database with %s %s", got.err.Code, got.err.Message, want.err.Code, want.err.Message)
	case got.err == nil && !slices.Equal(got.results, want.results):
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got.results, "\n\t"), strings.Join(want.results, "\n\t"))
	}
}

// compareTables compares all that the transaction sees.
func (m *matrix) compareTables(t *testing.T) {
	t.Helper()
	for _, table := range []string{"users", "orders", "patients", "cards", "typed", "plain"} {
		s := &shape{sql: "SELECT * FROM public." + table + " ORDER BY id"}
		got, want := execute(t, m.through, s, extendedForm), execute(t, m.twin, s, extendedForm)
		if got.broken != nil {
			t.Fatalf("reading %s: %v", table, got.broken)
		}
		m.compare(t, got, want)
	}
}

// execute runs a shape in a form.
func execute(t *testing.T, conn *pgconn.PgConn, s *shape, f form) outcome {
	t.Helper()
	ctx := t.Context()
	var results []*pgconn.Result
	var err error
	switch args := byteArgs(s.args); f {
	case simpleForm:
		results, err = conn.Exec(ctx, withLiterals(s.sql, s.args)).ReadAll()
	case extendedForm:
		r := conn.ExecParams(ctx, s.sql, args, nil, nil, nil).Read()
		results, err = []*pgconn.Result{r}, r.Err
	case preparedForm:
		if _, err = conn.Prepare(ctx, "shape", s.sql, nil); err == nil {
			r := conn.ExecPrepared(ctx, "shape", args, nil, nil).Read()
			results, err = []*pgconn.Result{r}, r.Err
			if err == nil && strings.HasPrefix(s.sql, "SELECT") { // what is prepared runs again
				r = conn.ExecPrepared(ctx, "shape", args, nil, nil).Read()
				results, err = append(results, r), r.Err
			}
			if !conn.IsClosed() {
				_ = conn.Deallocate(ctx, "shape") // fails in a failed transaction, and must then be gone by itself
			}
		}
	}
	return toOutcome(conn, s, results, err)
}

func toOutcome(conn *pgconn.PgConn, s *shape, results []*pgconn.Result, err error) outcome {
	var o outcome
	if err != nil && !errors.As(err, &o.err) {
		o.broken = err
	}
	if conn.IsClosed() && o.broken == nil {
		o.broken = errors.New("connection closed")
	}
	for _, r := range results {
		var fields, rows []string
		for _, f := range r.FieldDescriptions {
			fields = append(fields, fmt.Sprintf("%s %d/%d/%d/%d", f.Name, typeName(f.DataTypeOID), f.DataTypeSize, f.TypeModifier, f.Format))
		}
		for _, row := range r.Rows {
			var values []string
			for _, v := range row {
				if v == nil {
					values = append(values, "NULL")
				} else {
					values = append(values, fmt.Sprintf("%q", v))
				}
			}
			rows = append(rows, strings.Join(values, " | "))
		}
		if !s.ordered {
			slices.Sort(rows)
		}
		o.results = append(o.results, fmt.Sprintf("[%s] (%s) %s", r.CommandTag, strings.Join(fields, ", "), strings.Join(rows, " ; ")))
	}
	return o
}

// typeName is a type's OID; those of users' types differ between servers and are one.
func typeName(oid uint32) uint32 {
	const firstOfUsers = 16384
	return min(oid, firstOfUsers)
}

func byteArgs(args []any) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		if a != nil {
			out[i] = []byte(a.(string))
		}
	}
	return out
}

// withLiterals writes args in place of $1, $2, ….
func withLiterals(sql string, args []any) string {
	for i := len(args); i > 0; i-- {
		literal := "NULL"
		if args[i-1] != nil {
			literal = "'" + strings.ReplaceAll(args[i-1].(string), "'", "''") + "'"
		}
		sql = strings.ReplaceAll(sql, fmt.Sprintf("$%d", i), literal)
	}
	return sql
}

// dump reads the sealed tables as they are.
func (m *matrix) dump(t *testing.T) {
	conn := connectPG(t, m.rig.Direct)
	for _, table := range []string{"users", "orders", "patients", "cards", "typed"} {
		r := conn.ExecParams(t.Context(), "SELECT * FROM "+table, nil, nil, nil, []int16{1}).Read()
		if r.Err != nil || len(r.Rows) == 0 {
			t.Fatalf("%s: %d rows, %v", table, len(r.Rows), r.Err)
		}
		for _, row := range r.Rows {
			assertNoCanary(t, table, slices.Concat(row...))
		}
	}
}

func (m *matrix) report(t *testing.T) {
	t.Logf("%d as on a plain database, %d refused, %d failed, %d sessions dropped", m.same, m.refusals, m.failed, m.dropped)
	if *matrixReport == "" || m.rig.Version != versions[0] {
		return
	}
	if err := os.WriteFile(*matrixReport, []byte(strings.Join(m.lines, "\n")+"\n"), 0o644); err != nil {
		t.Error(err)
	}
}
