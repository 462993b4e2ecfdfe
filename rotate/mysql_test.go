package rotate_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// Pages of 2 rows, as for PostgreSQL's keys.
func TestMySQLTablesAreWalkedByPrimaryKeysOfAllKinds(t *testing.T) {
	d := openMySQL(t)
	w := newWorld(t)
	for name, keys := range map[string][]string{
		"id int PRIMARY KEY":                             {"5", "-3", "10", "9", "100"},
		"id bigint unsigned PRIMARY KEY":                 {"18446744073709551615", "9223372036854775808", "3"},
		"id varchar(20) PRIMARY KEY":                     {`'a"b"'`, `'B'`, `''`, `'ü,x'`, `'a b'`},
		"id varchar(20) COLLATE utf8mb4_bin PRIMARY KEY": {"'a'", "'A'", "'b'", "'B'"},
		"id char(4) PRIMARY KEY":                         {"'a'", "'ab'", "'b'"},
		"id varbinary(9) PRIMARY KEY":                    {"x'00'", "x'ff00'", "x''", "x'41'"},
		"id binary(16) PRIMARY KEY":                      {"unhex('7b4e1b2c000040008000000000000001')", "unhex('00000000000000000000000000000000')"},
		"id decimal(20,3) PRIMARY KEY":                   {"1.5", "-0.001", "12345678901234567.125", "9", "10"},
		"id date PRIMARY KEY":                            {"'2024-02-29'", "'1999-12-31'", "'2025-01-01'"},
		"id datetime(6) PRIMARY KEY":                     {"'2024-10-27 02:30:00.000001'", "'2024-10-27 02:30:00'", "'1999-01-01'"},
		"id enum('sad','ok','happy') PRIMARY KEY":        {"'happy'", "'sad'", "'ok'"},
		"id double PRIMARY KEY":                          {"0.1", "1e-300", "-2"},
		"id int, b varchar(9), PRIMARY KEY (b, id)":      {"1, 'b'", "1, 'a'", "2, 'a'", "2, 'b'"},
		"`Odd ``name` int, `select` varchar(9), PRIMARY KEY (`select`, `Odd ``name`)": {"1, 'x'", "2, 'x'", "3, 'a'"},
	} {
		t.Run(name, func(t *testing.T) {
			walkAll(t, w, d, fmt.Sprintf("CREATE TABLE people (%s, name mediumblob, memo mediumblob)", name), keys)
		})
	}
}

func TestResealAndVerifyOnEachDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		const n = 60
		people := w.people(t, d, n)
		w.rotateTenants(t)
		cfg := w.config(d)
		cfg.Cipher, cfg.PageSize, cfg.Workers = w.cipher(t), 7, 2
		run := func(kind rotate.Kind, options map[string]string) (map[string]int64, error) {
			t.Helper()
			result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: kind, Table: w.table, Options: options})
			return result.Counts, err
		}
		got, err := run(rotate.Reseal, nil)
		must(t, err)
		counted(t, got, counts{"rows": n, "values": 3 * n, "resealed": 2 * n, "current": n}) // memo's keys are the root key's business
		w.opens(t, d, people)
		cfg.Keyring, cfg.Cipher = w.ring, w.cipher(t)
		got, err = run(rotate.Reseal, map[string]string{"all": "true"})
		must(t, err)
		counted(t, got, counts{"rows": n, "values": 3 * n, "resealed": 3 * n})
		w.destroyRetired(t)
		w.opens(t, d, people)
		cfg.Keyring, cfg.Cipher = w.ring, w.cipher(t)
		got, err = run(rotate.Verify, nil)
		must(t, err)
		if got["opened"] != 3*n || got["column/ssn"] != n {
			t.Errorf("verify counted %v", got)
		}

		d.exec(t, "UPDATE people SET name = $1 WHERE id = 5", []byte("in clear"))
		d.exec(t, "UPDATE people SET ssn = (SELECT other FROM (SELECT ssn AS other FROM people WHERE id = 7) AS o) WHERE id = 8")
		got, err = run(rotate.Verify, nil)
		if !errors.Is(err, rotate.ErrFindings) || got["finding/unsealed"] != 1 || got["finding/wrong-tenant"] != 1 || got["failed"] != 2 {
			t.Errorf("verify counted %v, %v", got, err)
		}
		if got, err = run(rotate.Reseal, map[string]string{"all": "true"}); !errors.Is(err, rotate.ErrIncomplete) || got["failed"] != 2 || got["resealed"] != 3*n-2 {
			t.Errorf("reseal counted %v, %v", got, err)
		}
	})
}
