package sqlstore

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
)

// tamper changes the only row, past the table's own checks.
func tamper(t *testing.T, s *Store, set string, args ...any) {
	t.Helper()
	ctx := t.Context()
	if s.dialect.product == "PostgreSQL" {
		for _, column := range []string{"id", "tenant", "version", "state", "commitment", "wraps"} {
			mustExec(t, s.db, "ALTER TABLE rowseal.keys DROP CONSTRAINT IF EXISTS keys_"+column+"_check")
		}
		mustExec(t, s.db, "UPDATE rowseal.keys SET "+set, args...)
		return
	}
	if s.dialect.product == "MySQL" {
		for _, column := range []string{"id", "tenant", "version", "state", "commitment", "wraps"} {
			_, _ = s.db.ExecContext(ctx, "ALTER TABLE rowseal_keys DROP CONSTRAINT keys_"+column+"_check") // it may be gone already
		}
		mustExec(t, s.db, "UPDATE rowseal_keys SET "+set, args...)
		return
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, statement := range []string{"PRAGMA ignore_check_constraints = ON", "UPDATE rowseal_keys SET " + set, "PRAGMA ignore_check_constraints = OFF"} {
		if !strings.HasPrefix(statement, "UPDATE") {
			args = nil
		}
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
}

const sound = `'[{"root":"r","blob":"c2VjcmV0"}]'`

// corruptions are SQL assignments and what the error must say. The table's own
// checks refuse those that are marked.
var corruptions = []struct {
	name, set, says string
	checked         bool
}{
	{"an id with other letters", "id = 'zz00000000000001'", `"zz00000000000001": the id is not 16`, true},
	{"an id in upper case", "id = 'AA00000000000001'", `"AA00000000000001": the id is not 16`, true},
	{"a short id", "id = 'aa'", `"aa": the id is not 16`, true},
	{"a long id", "id = 'aa000000000000011'", `"aa000000000000011": the id is not 16`, true},
	{"the zero id", "id = '0000000000000000'", `"0000000000000000": the id is not 16`, false},
	{"an empty tenant", "tenant = ''", "the tenant is 0 bytes long", true},
	{"an unknown purpose", "purpose = 'row'", `purpose "row"`, false},
	{"version 0", "version = 0", "the version is 0", true},
	{"a negative version", "version = -1", "version -1 is out of range", true},
	{"a version above 32 bits", "version = 4294967297", "version 4294967297 is out of range", true},
	{"an unknown state", "state = 'new'", `state "new"`, true},
	{"a parent that is no id", "parent = 'x'", `parent "x" is not 16`, false},
	{"an empty parent", "parent = ''", `parent "" is not 16`, false},
	{"a zero parent", "parent = '0000000000000000'", `parent "0000000000000000" is not 16`, false},
	{"a short commitment", "commitment = substr(commitment, 1, 5)", "the commitment is 5 bytes long, not 32", true},
	{"an active key without wraps", "wraps = '[]'", "it is active and has no wraps", true},
	{"a tombstone with wraps", "state = 'destroyed'", "it is destroyed and still has wraps", true},
	{"wraps that are empty", "wraps = ''", "not in the form", false},
	{"wraps that are not JSON", "wraps = 'secret'", "not in the form", false},
	{"wraps with a space", `wraps = '[{"root":"r", "blob":"c2VjcmV0"}]'`, "not in the form", false},
	{"wraps with more at the end", "wraps = " + strings.TrimSuffix(sound, "'") + "x'", "not in the form", false},
	{"wraps with an unknown field", `wraps = '[{"root":"r","blob":"c2VjcmV0","x":1}]'`, "not in the form", false},
	{"wraps in another order", `wraps = '[{"blob":"c2VjcmV0","root":"r"}]'`, "not in the form", false},
	{"wraps that end early", `wraps = '[{"root":"r","blob":"c2VjcmV0"}'`, "not in the form", false},
	{"a blob that is not base64", `wraps = '[{"root":"r","blob":"c2Vj*mV0"}]'`, "not in the form", false},
	{"a blob with a line break", "wraps = '[{\"root\":\"r\",\"blob\":\"c2Vj\ncmV0\"}]'", "not in the form", false},
	{"a blob with idle bits", `wraps = '[{"root":"r","blob":"c2VjcmVzz=="}]'`, "not in the form", false},
	{"an empty blob", `wraps = '[{"root":"r","blob":""}]'`, "blob is 0 bytes", false},
	{"a nameless root key", `wraps = '[{"root":"","blob":"c2VjcmV0"}]'`, "root key id is 0 bytes", false},
	{"a root key that is not ASCII", `wraps = '[{"root":"ü","blob":"c2VjcmV0"}]'`, "not printable ASCII", false},
}

func TestCorruptRowsAreNamed(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, tt := range corruptions {
			t.Run(tt.name, func(t *testing.T) {
				clearTable(t, s)
				r := key("tenant", 1)
				create(t, s, r)
				tamper(t, s, tt.set)
				_, err := s.List(t.Context(), keyring.Filter{}, envelope.KeyID{}, 10)
				if strings.Contains(tt.set, "'0000000000000000'") && strings.HasPrefix(tt.set, "id") {
					// List begins above the zero id, and Latest finds the row.
					_, err = s.Latest(t.Context(), keyring.PurposeTenant, []string{"tenant"})
				}
				wantCorrupt(t, s, err, tt.says)
				if !strings.HasPrefix(tt.set, "id") {
					_, err := s.ByID(t.Context(), []envelope.KeyID{r.ID})
					wantCorrupt(t, s, err, r.ID.String())
				}
			})
		}
	})
}

func wantCorrupt(t *testing.T, s *Store, err error, says string) {
	t.Helper()
	if !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{says, s.Name(), "restore the row"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "c2Vj") {
		t.Errorf("%q holds wraps", err)
	}
}

func clearTable(t *testing.T, s *Store) { mustExec(t, s.db, "DELETE FROM "+s.dialect.table) }

func TestTheTableItselfRefuses(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		create(t, s, key("tenant", 1))
		refused := 0
		for _, tt := range corruptions {
			if !tt.checked {
				continue
			}
			refused++
			t.Run(tt.name, func(t *testing.T) {
				_, err := s.db.ExecContext(t.Context(), "UPDATE "+s.dialect.table+" SET "+tt.set)
				if err == nil || !strings.Contains(strings.ToLower(err.Error()), "constraint") {
					t.Errorf("got %v", err)
				}
			})
		}
		if refused == 0 {
			t.Error("no check was tried")
		}
	})
}

func TestErrorsHoldNothingOfTheRow(t *testing.T) {
	server := &pgconn.PgError{
		Code: "23514", Message: "new row violates check constraint", Detail: "Failing row contains (wrap)", Where: "wrap",
		Hint: "wrap", InternalQuery: "wrap", ConstraintName: "keys_wraps_check",
	}
	s, err := openPostgres("host=h dbname=d")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.fail("create", server)
	var kept *pgconn.PgError
	if !errors.As(err, &kept) || kept.Code != "23514" || kept.ConstraintName == "" || kept.Message == "" {
		t.Fatalf("the cause is lost: %v", err)
	}
	if kept.Detail+kept.Where+kept.Hint+kept.InternalQuery != "" {
		t.Errorf("kept %+v", kept)
	}
}

func FuzzWraps(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "[{}]", "[,]", strings.Trim(sound, "'"), `[{"root":"a\"\\","blob":"AA=="},{"root":"b","blob":"AAAA"}]`,
		`[{"root":"a\u0041","blob":"AA=="}]`, `[{"root":"a","blob":"AB=="}]`, `[{"root":"},{\"","blob":"AA=="}]`, `[{"root":"a","blob":"AA=="},]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wraps, err := parseWraps(text)
		if err != nil {
			return
		}
		again, err := formatWraps(wraps)
		if err != nil || again != text {
			t.Errorf("%q was read and is written as %q, %v", text, again, err)
		}
		for _, w := range wraps {
			if !strings.Contains(text, base64.StdEncoding.EncodeToString(w.Blob)) {
				t.Errorf("%q does not hold blob %x", text, w.Blob)
			}
		}
	})
}
