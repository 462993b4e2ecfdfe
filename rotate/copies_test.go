package rotate_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/rotate"
)

// TestVerifyFindsCopiesFarApart copies values over more than a page, brings one of both to another key, and has what
// is not to be found beside: short and empty values, NULL, and a copy under a tenant's key.
func TestVerifyFindsCopiesFarApart(t *testing.T) {
	onEach(t, func(t *testing.T, d db) {
		w := newWorld(t)
		w.people(t, d, 200)
		sealed := d.sealed(t)
		copied := func(column string, at, from int, to ...int) {
			for _, id := range to {
				d.exec(t, "UPDATE people SET "+column+" = $1 WHERE id = $2", sealed[from][at], id)
			}
		}
		copied("name", 0, 3, 93, 153)
		copied("memo", 2, 5, 185)
		copied("ssn", 1, 7, 97)
		d.exec(t, "UPDATE people SET name = NULL WHERE id IN (10, 110)")
		d.exec(t, "UPDATE people SET name = $1 WHERE id IN (20, 120)", []byte("short"))
		d.exec(t, "UPDATE people SET name = $1 WHERE id IN (30, 130)", []byte{})
		w.rotateTenants(t)
		cfg := w.config(d)
		cfg.Cipher = w.cipher(t)
		job := w.rewrap()
		job.Columns = []string{"name"}
		if _, err := rotate.Run(t.Context(), cfg, job); !errors.Is(err, rotate.ErrIncomplete) { // for what is short
			t.Fatal(err)
		}
		verify := func(options map[string]string, workers int) (found []string) {
			t.Helper()
			cfg.PageSize, cfg.Workers = 10, workers
			result, err := rotate.Run(t.Context(), cfg, rotate.Job{Kind: rotate.Verify, Table: w.table, Options: options})
			if !errors.Is(err, rotate.ErrFindings) {
				t.Fatal(err)
			}
			for _, f := range result.Findings {
				if f.Kind == rotate.FindingWrongRow {
					found = append(found, f.Column+" "+f.Row)
				} else if !strings.Contains("20 120 30 130", strings.TrimPrefix(f.Row, "id=")) {
					t.Errorf("%+v", f)
				}
			}
			slices.Sort(found)
			return found
		}
		want := []string{"memo id=185", "memo id=5", "name id=153", "name id=3", "name id=93"}
		for _, options := range []map[string]string{{"copies": "true"}, {"copies": "true", "sample": "0.01"}} {
			if found := verify(options, 1); !slices.Equal(found, want) {
				t.Errorf("%v: found %v, want %v", options, found, want)
			}
		}
		if found := verify(map[string]string{"copies": "true", "seed": "other"}, 3); !slices.Equal(found, want) {
			t.Errorf("three workers found %v, want %v", found, want)
		}
		if found := verify(nil, 1); len(found) > 0 {
			t.Errorf("without the option: found %v", found)
		}
	})
}
