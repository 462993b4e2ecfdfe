package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

var (
	active  = envelope.KeyID{1}
	retired = envelope.KeyID{2}
	strange = envelope.KeyID{3}
	begun   = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

func sample(t *testing.T) *Report {
	t.Helper()
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{Name: "people", Columns: []field.ColumnConfig{{Name: "name", Type: text}}})
	if err != nil {
		t.Fatal(err)
	}
	r := New([]Verified{{
		Job: rotate.Job{Kind: rotate.Verify, Table: table, Options: map[string]string{"sample": "0.25"}},
		Result: rotate.Result{
			ID: 7, Started: begun, Ended: begun.Add(90 * time.Second),
			Counts: map[string]int64{
				"rows": 100, "values": 100, "opened": 25, "column/name": 100, "suite/2": 60, "suite/3": 40, "mode/0": 100,
				"key/" + active.String(): 50, "key/" + retired.String(): 40, "key/" + strange.String(): 6, "key/arn:aws:kms:key": 3, "key/other": 1,
				"finding/stale": 40, "finding/unknown-key": 6,
			},
			Findings: []rotate.Finding{{Kind: "stale", Table: "people", Column: "name", Row: "id=<42>", Detail: "sealed with suite 3"}},
		},
	}}, []keyring.Record{
		{ID: active, Tenant: "acme", Version: 2, State: keyring.Active},
		{ID: retired, Tenant: "acme", Version: 1, State: keyring.Retired},
	})
	r.Written = begun.Add(time.Hour)
	return r
}

func TestAReportCountsByWhatKeysAre(t *testing.T) {
	r := sample(t)
	groups := map[string]map[string]int64{}
	for _, g := range r.Tables[0].Groups {
		groups[g.Name] = map[string]int64{}
		for i, b := range g.Bars {
			groups[g.Name][b.Name] = b.Count
			if i > 0 && b.Count > g.Bars[i-1].Count || b.Share <= 0 || b.Share > 1 {
				t.Errorf("%s: %+v", g.Name, b)
			}
		}
	}
	for _, c := range []struct {
		group, name string
		want        int64
	}{
		{"key versions", "version 2", 50},
		{"key versions", "version 1", 40},
		{"key versions", "not in the key store", 6},
		{"key states", "active", 50},
		{"key states", "retired", 40},
		{"key states", "root key", 3},
		{"key states", "too many keys to tell apart", 1},
		{"keys", active.String(), 50},
		{"suites", "2", 60},
		{"key modes", "key: tenant", 100},
		{"columns", "name", 100},
		{"findings", "stale", 40},
	} {
		if got := groups[c.group][c.name]; got != c.want {
			t.Errorf("%s, %s: got %d, want %d", c.group, c.name, got, c.want)
		}
	}
	if r.Clean || r.Findings != 46 || r.Tables[0].Found != 46 {
		t.Errorf("%d findings, clean %v", r.Findings, r.Clean)
	}
}

func TestAReportIsCleanOnlyWhenDoneAndWithoutFindings(t *testing.T) {
	done := rotate.Result{Started: begun, Ended: begun.Add(1)}
	found := done
	found.Counts = map[string]int64{"finding/foreign": 1}
	for _, c := range []struct {
		results []rotate.Result
		verdict string
	}{
		{[]rotate.Result{done}, "clean"},
		{[]rotate.Result{done, found}, "1 finding"},
		{[]rotate.Result{done, {Started: begun}}, "not done"},
	} {
		var all []Verified
		for _, r := range c.results {
			all = append(all, Verified{Result: r})
		}
		if got := New(all, nil); got.Verdict() != c.verdict || got.Clean != (c.verdict == "clean") {
			t.Errorf("got %q, want %q", got.Verdict(), c.verdict)
		}
	}
}

func TestFormsOfAReport(t *testing.T) {
	r := sample(t)
	for name, want := range map[string][]string{
		"r.txt": {
			"46 findings", "Table people", "job 7, begun 2026-03-04T05:06:07Z, ended 2026-03-04T05:07:37Z, 1m30s",
			"100 rows, 100 values, 25 opened (a sample of 0.25 of the rows", `tenant "acme", version 2, active`, "id=<42>", "and 45 more",
		},
		"r.json": {`"clean": false`, `"sample": 0.25`, `"version 1"`, `"row": "id=`},
		"r.html": {"<!DOCTYPE html>", "width: 100.00%", "width: 80.00%", "id=&lt;42&gt;", "sealed with suite 3", "and 45 more", "HKDF-SHA256"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := r.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !bytes.Contains(got, []byte(part)) {
				t.Errorf("%s lacks %q:\n%s", name, part, got)
			}
		}
		if strings.HasSuffix(name, ".html") && (bytes.Contains(got, []byte("<script")) || bytes.Contains(got, []byte("src=")) || bytes.Contains(got, []byte("href="))) {
			t.Error("the page needs other files")
		}
		if strings.HasSuffix(name, ".json") {
			var back Report
			if err := json.Unmarshal(got, &back); err != nil || back.Tables[0].Rows != 100 {
				t.Errorf("%v, %+v", err, back)
			}
		}
	}
}

func TestAnUnknownFormatIsRefusedBeforeTheWork(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"report", "report.pdf"} {
		path := filepath.Join(dir, name)
		if err := CheckFile(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		if err := sample(t).WriteFile(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := CheckFile("a.HTML"); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files were left: %v, %v", left, err)
	}
}

func TestManyKeysAreCutForPeople(t *testing.T) {
	counts := map[string]int64{}
	for i := range 100 {
		counts["key/"+envelope.KeyID{byte(i)}.String()] = int64(i + 1)
	}
	r := New([]Verified{{Result: rotate.Result{Counts: counts}}}, nil)
	var text, doc bytes.Buffer
	if err := errors.Join(r.Text(&text), r.JSON(&doc)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "and 60 more") || !strings.Contains(doc.String(), envelope.KeyID{1}.String()) {
		t.Error(text.String())
	}
}
