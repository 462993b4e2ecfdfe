package rotate_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/rotate"
)

// TestRowsThatRowSecurityHidesStopAJob: it would say that all are in order.
func TestRowsThatRowSecurityHidesStopAJob(t *testing.T) {
	dsn := testpg.DSN(t)
	admin, err := sql.Open("pgx", dsn)
	must(t, err)
	defer admin.Close()
	d := db{admin, rotate.PostgreSQL, "bytea"}
	w := newWorld(t)
	w.people(t, d, 20)
	must(t, rotate.InitJournal(t.Context(), d.DB, d.dialect))
	var role string
	must(t, d.QueryRow("SELECT 'clerk_' || current_database()").Scan(&role))
	name := pgx.Identifier{role}.Sanitize()
	d.exec(t, "CREATE ROLE "+name+" LOGIN")
	t.Cleanup(func() { _, _ = admin.Exec("DROP OWNED BY " + name + "; DROP ROLE " + name) })
	d.exec(t, `GRANT USAGE ON SCHEMA rowseal, public TO `+name+`; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA rowseal, public TO `+name+`;
		ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON people USING (tenant = 'tenant-1')`)
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	config.RuntimeParams["role"] = role
	clerk := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = clerk.Close() })
	cfg := w.config(db{clerk, rotate.PostgreSQL, "bytea"})
	cfg.Cipher = w.cipher(t)
	for _, kind := range []rotate.Kind{rotate.Verify, rotate.Reseal, rotate.Rewrap} {
		_, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: kind, Table: w.table})
		if !errors.Is(err, rotate.ErrRowSecurity) || !strings.Contains(err.Error(), "BYPASSRLS") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, key := w.lateValue(t)
	_, err = rotate.CountKey(t.Context(), clerk, rotate.PostgreSQL, []*field.Table{w.table}, key)
	if !errors.Is(err, rotate.ErrRowSecurity) || !strings.Contains(err.Error(), "BYPASSRLS") {
		t.Errorf("count: %v", err)
	}
	d.exec(t, "ALTER TABLE people DISABLE ROW LEVEL SECURITY")
	if _, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table}); err != nil {
		t.Errorf("without it: %v", err)
	}
}
