package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/rotate"
)

// Verified is a verify job of one table, done or not.
type Verified struct {
	// Job is what [rotate.Run] was given, and Result what it returned.
	Job    rotate.Job
	Result rotate.Result
}

// Report is what is written. Its JSON form has the same fields.
type Report struct {
	// Written is when the report was made, by this machine's clock.
	Written time.Time `json:"written"`
	// Clean says that all verifies are done and found nothing.
	Clean bool `json:"clean"`
	// Findings is how many there are, over all tables.
	Findings int64   `json:"findings"`
	Tables   []Table `json:"tables"`
}

// Table is a report's part on one table.
type Table struct {
	Table string `json:"table"`
	// Columns and Tenant are what the job was narrowed to; none and "" mean all.
	Columns []string `json:"columns,omitempty"`
	Tenant  string   `json:"tenant,omitempty"`
	// Job is its number in the journal.
	Job int64 `json:"job"`
	// Sample is the part of the rows whose values were opened: 1 for all.
	Sample float64 `json:"sample"`
	// Started and Ended are by the database's clock. Ended is zero for a job that is not done.
	Started time.Time     `json:"started"`
	Ended   time.Time     `json:"ended,omitzero"`
	Took    time.Duration `json:"took_ns,omitempty"`
	Done    bool          `json:"done"`
	// Rows were read, Values stood in them, and Opened of these were opened, or tried to.
	Rows   int64 `json:"rows"`
	Values int64 `json:"values"`
	Opened int64 `json:"opened"`
	// Groups count the values, by what their headers say.
	Groups []Group `json:"groups"`
	// Found is how many findings there are of each kind, and Findings lists the first of them.
	Found    int64            `json:"found"`
	Findings []rotate.Finding `json:"findings,omitempty"`
}

// Group is a way to count the values of a table.
type Group struct {
	// Name is "findings", "columns", "keys", "key versions", "key states", "suites" or "key modes".
	Name string `json:"name"`
	Bars []Bar  `json:"bars"`
}

// Bar is one count of a group.
type Bar struct {
	Name  string  `json:"name"`
	Note  string  `json:"note,omitempty"`
	Count int64   `json:"count"`
	Share float64 `json:"share"` // of the group's greatest count
}

// New makes a report. keys are the records of the key store, which tell tenant, version and state of the keys that
// values name.
func New(verified []Verified, keys []keyring.Record) *Report {
	records := make(map[string]*keyring.Record, len(keys))
	for i := range keys {
		records[keys[i].ID.String()] = &keys[i]
	}
	r := &Report{Written: time.Now().UTC().Truncate(time.Second), Clean: true}
	for i := range verified {
		t := newTable(&verified[i], records)
		r.Tables = append(r.Tables, t)
		r.Findings += t.Found
		r.Clean = r.Clean && t.Done && t.Found == 0
	}
	return r
}

func newTable(v *Verified, records map[string]*keyring.Record) Table {
	counts := v.Result.Counts
	t := Table{
		Columns: v.Job.Columns, Tenant: v.Job.Tenant, Job: v.Result.ID, Sample: 1,
		Started: v.Result.Started, Ended: v.Result.Ended, Done: !v.Result.Ended.IsZero(),
		Rows: counts["rows"], Values: counts["values"], Opened: counts["opened"],
		Findings: v.Result.Findings,
	}
	if v.Job.Table != nil {
		t.Table = v.Job.Table.Name()
	}
	if part, err := strconv.ParseFloat(v.Job.Options["sample"], 64); err == nil {
		t.Sample = part
	}
	if t.Done {
		t.Took = t.Ended.Sub(t.Started)
	}
	found := group("findings", counts, "finding/", nil)
	for _, b := range found.Bars {
		t.Found += b.Count
	}
	keys := group("keys", counts, "key/", func(b *Bar) { b.Note = describe(b.Name, records) })
	t.Groups = []Group{
		found,
		group("columns", counts, "column/", nil),
		by("key versions", keys, func(name string) string { return version(name, records) }),
		by("key states", keys, func(name string) string { return state(name, records) }),
		group("suites", counts, "suite/", nameSuite),
		group("key modes", counts, "mode/", nameMode),
		keys,
	}
	t.Groups = slices.DeleteFunc(t.Groups, func(g Group) bool { return len(g.Bars) == 0 })
	return t
}

// group collects the counts whose names begin with prefix, the greatest first.
func group(name string, counts map[string]int64, prefix string, edit func(*Bar)) Group {
	g := Group{Name: name}
	for full, n := range counts {
		if rest, ok := strings.CutPrefix(full, prefix); ok && n > 0 {
			g.Bars = append(g.Bars, Bar{Name: rest, Count: n})
		}
	}
	for i := range g.Bars {
		if edit != nil {
			edit(&g.Bars[i])
		}
	}
	g.sort()
	return g
}

// by adds the bars of g up under other names.
func by(name string, g Group, of func(string) string) Group {
	sums := map[string]int64{}
	for _, b := range g.Bars {
		sums[of(b.Name)] += b.Count
	}
	return group(name, sums, "", nil)
}

func (g *Group) sort() {
	slices.SortFunc(g.Bars, func(a, b Bar) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	for i := range g.Bars {
		g.Bars[i].Share = float64(g.Bars[i].Count) / float64(g.Bars[0].Count)
	}
}

// otherKeys is the name of the bar for keys that the verify did not tell apart.
var otherKeys = strings.TrimPrefix(rotate.OtherKeys, "key/")

// isRoot tells the name of a root key, which wraps the row keys of `wrap: kms`, from a tenant key's id.
func isRoot(name string) bool {
	if len(name) != 2*envelope.KeyIDSize {
		return true
	}
	_, err := strconv.ParseUint(name, 16, 64)
	return err != nil
}

func describe(name string, records map[string]*keyring.Record) string {
	r := records[name]
	switch {
	case name == otherKeys:
		return "too many keys to tell apart"
	case r != nil:
		return fmt.Sprintf("tenant %q, version %d, %s", r.Tenant, r.Version, r.State)
	case isRoot(name):
		return "root key"
	}
	return "not in the key store"
}

func version(name string, records map[string]*keyring.Record) string {
	if r := records[name]; r != nil {
		return fmt.Sprintf("version %d", r.Version)
	}
	return describe(name, records)
}

func state(name string, records map[string]*keyring.Record) string {
	if r := records[name]; r != nil {
		return string(r.State)
	}
	return describe(name, records)
}

func nameSuite(b *Bar) {
	if n, err := strconv.ParseUint(b.Name, 10, 8); err == nil {
		b.Note = envelope.Suite(n).String()
	}
}

func nameMode(b *Bar) {
	if n, err := strconv.ParseUint(b.Name, 10, 8); err == nil {
		b.Name = "key: " + envelope.Mode(n).String()
	}
}
