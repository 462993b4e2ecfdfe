package sqlstore

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/internal/testmysql"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
)

// fill adds n tenants with one key each, 'tenant 1' and so on, under 4 store
// keys. A tenant's id is its number in hex digits, turned round as if random.
func fill(t testing.TB, s *Store, n int) {
	t.Helper()
	const wraps = `[{"root":"store:%s","blob":"` + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=" + `"}]`
	for slot := range 4 {
		r := storeKey(fmt.Sprint(slot))
		r.ID = parentID(slot)
		create(t, s, r)
	}
	if s.dialect.product == "PostgreSQL" {
		mustExec(t, s.db, `INSERT INTO rowseal.keys (`+columns+`)
			SELECT reverse(lpad(to_hex(n), 16, '0')), 'tenant ' || n, 'tenant', 1, 'active', p, sha256(n::text::bytea),
				replace('`+wraps+`', '%s', p), n, n, '', ''
			FROM generate_series(1, `+fmt.Sprint(n)+`) AS n, lpad(to_hex(n % 4 + 1), 16, 'f') AS p`)
		mustExec(t, s.db, "ANALYZE rowseal.keys")
		return
	}
	if s.dialect.product == "MySQL" {
		mustExec(t, s.db, `SET STATEMENT max_recursive_iterations = 10000000 FOR INSERT INTO rowseal_keys (`+columns+`)
			WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?),
			k AS (SELECT n, lpad(lower(hex(n)), 16, '0') AS h, concat('fffffffffffffff', n % 4 + 1) AS p FROM c)
			SELECT reverse(h), concat('tenant ', n), 'tenant', 1, 'active', p, unhex(sha2(n, 256)), replace('`+wraps+`', '%s', p), n, n, '', '' FROM k`, n)
		mustExec(t, s.db, "ANALYZE TABLE rowseal_keys")
		return
	}
	// Batches keep the write-ahead log small.
	for from := 1; from <= n; from += 50_000 {
		mustExec(t, s.db, `WITH RECURSIVE c(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM c WHERE n < ?2),
			k AS (SELECT n, printf('%016x', n) AS h, 'fffffffffffffff' || (n % 4 + 1) AS p FROM c)
			INSERT INTO rowseal_keys (`+columns+`)
			SELECT substr(h,16,1)||substr(h,15,1)||substr(h,14,1)||substr(h,13,1)||substr(h,12,1)||substr(h,11,1)||substr(h,1,10),
				'tenant ' || n, 'tenant', 1, 'active', p, randomblob(32), replace('`+wraps+`', '%s', p), n, n, '', '' FROM k`,
			from, min(n, from+49_999))
	}
}

func parentID(slot int) (id envelope.KeyID) {
	for i := range id {
		id[i] = 0xff
	}
	id[7] = 0xf0 | byte(slot+1)
	return id
}

// filledID is the id that fill gives to tenant n.
func filledID(n int) (id envelope.KeyID) {
	digits := []byte(fmt.Sprintf("%016x", n))
	for i, j := 0, 15; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	if !parseID(&id, string(digits)) {
		panic("a filled id is no id")
	}
	return id
}

func TestLookingUpReadsIndexesOnly(t *testing.T) {
	ids, tenants := make([]string, 1000), make([]string, 1000)
	for i := range ids {
		ids[i], tenants[i] = filledID(i*5+1).String(), fmt.Sprintf("tenant %d", i*5+1)
	}
	queries := func(d dialect) map[string][]any {
		return map[string][]any{
			d.byID:     {jsonText(t, ids)},
			d.latest:   {"tenant", jsonText(t, tenants)},
			d.standing: {`[{"tenant":"tenant 7","purpose":"tenant","version":1}]`},
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		s := initialized(t, sqliteURL(t))
		fill(t, s, 5_000)
		for query, args := range queries(s.dialect) {
			plan := explainPlan(t, s, "EXPLAIN QUERY PLAN "+query, 4, args...)
			if !strings.Contains(plan, "USING INDEX") || regexp.MustCompile(`SCAN (rowseal_keys|c)\b`).MatchString(plan) {
				t.Errorf("%s\n%s", query, plan)
			}
		}
	})
	t.Run("MySQL", func(t *testing.T) {
		s := initialized(t, testmysql.URL(t))
		fill(t, s, 5_000)
		for query, args := range queries(s.dialect) {
			plan := explainPlan(t, s, "EXPLAIN FORMAT=JSON "+query, 1, args...)
			if !regexp.MustCompile(`"table_name": "k",\s+"access_type": "eq_ref"`).MatchString(plan) ||
				regexp.MustCompile(`"table_name": "[kc]",\s+"access_type": "(ALL|index)"`).MatchString(plan) {
				t.Errorf("%s\n%s", query, plan)
			}
		}
	})
	// A prepared statement's generic plan knows nothing of its arguments.
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		t.Run("PostgreSQL with "+mode, func(t *testing.T) {
			s := initialized(t, withOption(t, testpg.DSN(t), "plan_cache_mode="+mode))
			fill(t, s, 5_000)
			for query, args := range queries(s.dialect) {
				plan := explainPlan(t, s, "EXPLAIN "+query, 1, args...)
				if !strings.Contains(plan, "using keys_") || strings.Contains(plan, "Seq Scan on keys") {
					t.Errorf("%s\n%s", query, plan)
				}
			}
		})
	}
}

func TestListingRootWrappedKeysSkipsTheOthers(t *testing.T) {
	for product, connection := range products() {
		t.Run(product, func(t *testing.T) {
			s := initialized(t, connection(t))
			fill(t, s, 5_000)
			explain, columns, index := "EXPLAIN ", 1, "keys_root"
			switch product {
			case "MySQL":
				explain, index = "EXPLAIN FORMAT=JSON ", `"key": "keys_root"`
			case "SQLite":
				explain, columns, index = "EXPLAIN QUERY PLAN ", 4, "USING INDEX rowseal_keys_root"
			}
			query, args := s.dialect.list(keyring.Filter{RootWrapped: true}, envelope.KeyID{}, 100)
			if plan := explainPlan(t, s, explain+query, columns, args...); !strings.Contains(plan, index) {
				t.Errorf("%s\n%s", query, plan)
			}
			got, err := s.List(t.Context(), keyring.Filter{RootWrapped: true}, envelope.KeyID{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			sameIDs(t, got, parentID(0), parentID(1), parentID(2), parentID(3))
		})
	}
}

// explainPlan returns the last of n columns of each line.
func explainPlan(t *testing.T, s *Store, query string, n int, args ...any) string {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		texts, fields := make([]string, n), make([]any, n)
		for i := range texts {
			fields[i] = &texts[i]
		}
		if err := rows.Scan(fields...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(texts[n-1] + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
