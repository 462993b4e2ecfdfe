package gormplugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
)

// matrixDatabases are the databases that every operation runs on.
var matrixDatabases = []string{"sqlite", "postgres", "mysql"}

var (
	matrixFile = flag.String("matrix", "", "write the matrix of operations to this file")
	updateDocs = flag.Bool("update", false, "rewrite the matrix in docs/GORM.md")
)

// entry is an operation of the matrix. What it returns must be the same on the
// plain models, and so must be every table after it.
type entry[S secrets] struct {
	name    string
	run     func(w *world[S]) (any, error)
	refused error // it fails with this on the sealed models and changes nothing
	mysql   error // it does so on MySQL alone; see errItself
	want    any   // what it returns, where the plain models cannot say it
	alone   bool  // the plain models do not run it
	fails   bool  // GORM itself fails, in the same way with plain models
}

// errItself stands for an error of GORM's or the database's own.
var errItself = errors.New("GORM or the database itself fails")

// on returns the operation as it is on a database.
func (e entry[S]) on(kind string) entry[S] {
	switch {
	case kind != "mysql" || e.mysql == nil:
	case errors.Is(e.mysql, errItself):
		e.fails = true
	default:
		e.refused = e.mysql
	}
	return e
}

// theme is a group of operations that stand together in the matrix.
type theme[S secrets] struct {
	name    string
	entries []entry[S]
}

// dataset is tables with a few rows, and the themes that run on them.
type dataset[S secrets] struct {
	models []any
	tables []string // children first
	fill   func(t *testing.T, w *world[S])
	read   func(into func(rows any)) // calls into for a slice of each model
	themes []theme[S]
}

func datasets[S secrets]() []dataset[S] {
	return []dataset[S]{
		{
			models: matrixModels[S](), fill: fillPeople[S], themes: peopleThemes[S](),
			tables: []string{"stamps", "passports", "animals", "notices", "letters", "humans", "companies"},
			read: func(into func(any)) {
				into(&[]company[S]{})
				into(&[]human[S]{})
				into(&[]passport[S]{})
				into(&[]stamp[S]{})
				into(&[]animal[S]{})
				into(&[]notice[S]{})
				into(&[]letter[S]{})
			},
		},
		searchSet[S](),
	}
}

func themes[S secrets]() (all []theme[S]) {
	for _, set := range datasets[S]() {
		all = append(all, set.themes...)
	}
	return all
}

func peopleThemes[S secrets]() []theme[S] {
	return []theme[S]{
		{"create", createEntries[S]()},
		{"upsert", upsertEntries[S]()},
		{"update", updateEntries[S]()},
		{"delete", deleteEntries[S]()},
		{"read", readEntries[S]()},
		{"read into", destinationEntries[S]()},
		{"find or create", firstOrEntries[S]()},
		{"preload and join", joinEntries[S]()},
		{"associations", associationEntries[S]()},
		{"hooks", hookEntries[S]()},
		{"transactions", transactionEntries[S]()},
		{"sessions", sessionEntries[S]()},
		{"generics", genericEntries[S]()},
		{"tenants", tenantEntries[S]()},
		{"column types", typeEntries[S]()},
		{"raw SQL", rawEntries[S]()},
		{"refused reads", refusedReads[S]()},
		{"refused writes", refusedWrites[S]()},
	}
}

// world is one set of models in a database of its own.
type world[S secrets] struct {
	*gorm.DB
	lab    *lab
	set    dataset[S]
	sealed bool
	now    time.Time
}

func newWorld[S secrets](t *testing.T, kind string, set dataset[S]) *world[S] {
	t.Helper()
	var s S
	w := &world[S]{set: set, lab: &lab{kind: kind, log: &capture{}, dial: quick(t, kind)}}
	_, w.sealed = any(s).(sealedSecrets)
	cfg := &gorm.Config{Logger: w.lab.log, NowFunc: func() time.Time { return w.now }}
	w.DB = open(t, w.lab.dial(), cfg)
	w.lab.DB = w.DB
	w.lab.stock = open(t, w.lab.dial(), &gorm.Config{Logger: &capture{}})
	if w.sealed {
		w.lab.cipher, w.lab.store, w.lab.root = newCipher(t)
		w.lab.plugin = gormplugin.New(w.lab.cipher)
		w.lab.plugin.Models = set.models
		must(t, w.Use(w.lab.plugin))
	}
	must(t, w.AutoMigrate(set.models...))
	return w
}

// quick is a database that does not wait for the disk.
func quick(t *testing.T, kind string) func() gorm.Dialector {
	t.Helper()
	if kind != "sqlite" {
		return dialector(t, kind)
	}
	dsn := filepath.Join(t.TempDir(), "matrix.db") + "?_pragma=busy_timeout(5000)&_pragma=synchronous(off)&_pragma=journal_mode(wal)"
	return func() gorm.Dialector { return sqlite.Open(dsn) }
}

// reset empties the tables and fills in a few rows.
func (w *world[S]) reset(t *testing.T) {
	t.Helper()
	w.now = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	must(t, w.lab.stock.Connection(func(tx *gorm.DB) error {
		if w.lab.kind == "mysql" {
			must(t, tx.Exec("SET foreign_key_checks = 0").Error)
		}
		for _, table := range w.set.tables {
			empty(t, tx, w.lab.kind, table)
		}
		return nil
	}))
	w.set.fill(t, w)
	w.now = w.now.Add(time.Hour)
}

// empty removes a table's rows, and has its keys begin at 1 again.
func empty(t *testing.T, tx *gorm.DB, kind, table string) {
	t.Helper()
	switch kind {
	case "postgres":
		must(t, tx.Exec("TRUNCATE "+table+" RESTART IDENTITY CASCADE").Error)
	case "mysql":
		must(t, tx.Exec("DELETE FROM "+table).Error)
		must(t, tx.Exec("ALTER TABLE "+table+" AUTO_INCREMENT = 1").Error)
	default:
		must(t, tx.Exec("DELETE FROM "+table).Error)
		must(t, tx.Exec("DELETE FROM sqlite_sequence WHERE name = ?", table).Error)
	}
}

func fillPeople[S secrets](t *testing.T, w *world[S]) {
	t.Helper()
	must(t, w.Create(&company[S]{Secrets: values[S](90), Kind: "firm", Notices: []notice[S]{{Secrets: named[S]("firm notice")}}}).Error)
	people := []human[S]{newHuman[S](1), newHuman[S](2), newHuman[S](3)}
	people[0].CompanyID = ptr(uint(1))
	people[0].Passport = &passport[S]{Secrets: values[S](80), Country: "x", Stamps: []stamp[S]{
		{Secrets: named[S]("in"), Out: ptr(named[S]("out")), Port: "p"},
	}}
	people[0].Pets = []animal[S]{{Secrets: named[S]("cat"), Species: "cat"}, {Secrets: named[S]("dog"), Species: "dog"}}
	people[1].Pets = []animal[S]{{Secrets: named[S]("hen"), Species: "hen"}}
	people[0].Notices = []notice[S]{{Secrets: named[S]("notice")}}
	must(t, w.Create(&people).Error)
	must(t, w.Create(&animal[S]{Secrets: named[S]("stray"), Species: "dog"}).Error)
	must(t, w.Create(&[]letter[S]{
		{OrgID: "acme", Secrets: values[S](70), State: "open", Prefs: map[string]string{"a": "b"}}, {OrgID: "beta", Secrets: values[S](71), State: "open"},
	}).Error)
}

// state reads all tables through the models.
func (w *world[S]) state(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	w.set.read(func(rows any) {
		must(t, w.Session(&gorm.Session{NewDB: true}).Unscoped().Order("id").Find(rows).Error)
		fmt.Fprintln(&out, shown(rows))
	})
	return out.String()
}

// comparable writes v in a form in which equal results of both sets of models
// are equal.
func shown(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Sprintf("%#v (%v)", v, err)
	}
	return string(b)
}

// raw returns what the database holds, without what changes at each sealing.
func (w *world[S]) raw(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, table := range w.set.tables {
		out.Write(w.lab.dump(t, table))
	}
	return out.Bytes()
}

// outcomes are the matrix as it was run.
type outcomes map[string]map[string]string // by database, by theme and name

func TestMatrix(t *testing.T) {
	seen := outcomes{}
	for _, kind := range matrixDatabases {
		seen[kind] = map[string]string{}
		t.Run(kind, func(t *testing.T) { runMatrix(t, kind, seen[kind]) })
	}
	if *matrixFile != "" {
		must(t, os.WriteFile(*matrixFile, []byte(matrixText(seen)), 0o600))
	}
}

func runMatrix(t *testing.T, kind string, seen map[string]string) {
	twins := datasets[plainSecrets]()
	for i, set := range datasets[sealedSecrets]() {
		sealed, plain := newWorld(t, kind, set), newWorld(t, kind, twins[i])
		for j, group := range set.themes {
			for k, e := range group.entries {
				e = e.on(kind)
				key := group.name + ": " + e.name
				t.Run(strings.ReplaceAll(group.name+"/"+e.name, " ", "_"), func(t *testing.T) {
					if seen[key] != "" {
						t.Fatal("two entries have this name")
					}
					seen[key] = "FAILED"
					runEntry(t, e, twins[i].themes[j].entries[k], sealed, plain)
					if !t.Failed() {
						seen[key] = outcome(e)
					}
				})
			}
		}
	}
}

func outcome[S secrets](e entry[S]) string {
	if e.fails {
		return "refused: " + errItself.Error()
	}
	if e.refused != nil {
		return "refused: " + strings.TrimPrefix(e.refused.Error(), "rowseal: ")
	}
	return "ok"
}

func runEntry(t *testing.T, e entry[sealedSecrets], twin entry[plainSecrets], sealed *world[sealedSecrets], plain *world[plainSecrets]) {
	sealed.reset(t)
	before := sealed.raw(t)
	got, err := e.run(sealed)
	switch {
	case e.refused != nil:
		checkRefusal(t, e, err)
		if !bytes.Equal(before, sealed.raw(t)) {
			t.Error("the refused operation changed rows")
		}
	case e.fails:
		plain.reset(t)
		_, want := twin.run(plain)
		if err == nil || want == nil { // ours may leave a value out
			t.Errorf("the errors are %v, and %v on plain models", err, want)
		}
		same(t, "the tables", sealed.state(t), plain.state(t))
	case err != nil:
		t.Errorf("refused: %v", err)
	case e.alone:
		if shown(got) != shown(e.want) {
			t.Errorf("got %s, want %s", shown(got), shown(e.want))
		}
	default:
		plain.reset(t)
		want, err := twin.run(plain)
		must(t, err)
		same(t, "the result", shown(got), shown(want))
		same(t, "the tables", sealed.state(t), plain.state(t))
	}
	hides(t, sealed)
	dry(t, e, twin, sealed, plain)
	hides(t, sealed)
}

// same shows the first lines that differ.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			lo := max(0, i-3)
			t.Errorf("%s differs from that of plain models, in line %d:\n%s\nwant:\n%s", what, i,
				strings.Join(g[lo:min(len(g), i+4)], "\n"), strings.Join(w[min(lo, len(w)):min(len(w), i+4)], "\n"))
			return
		}
	}
	t.Errorf("%s is shorter than that of plain models", what)
}

func checkRefusal(t *testing.T, e entry[sealedSecrets], err error) {
	t.Helper()
	if !errors.Is(err, e.refused) {
		t.Fatalf("error %v, want %v", err, e.refused)
	}
	var refused *gormplugin.Error
	var sealing *field.Error
	switch {
	case errors.As(err, &refused):
		// Some of these refuse whole statements.
		named := refused.Column != "" || errors.Is(err, gormplugin.ErrStatement) || errors.Is(err, gormplugin.ErrCondition) || errors.Is(err, gormplugin.ErrExpression)
		if refused.Table == "" || !named || refused.Remedy == "" {
			t.Errorf("the error does not name table, column and remedy: %v", err)
		}
	case errors.As(err, &sealing):
		if sealing.Table == "" || sealing.Column == "" {
			t.Errorf("the error does not name table and column: %v", err)
		}
	default:
		t.Errorf("the error %v has type %T", err, err)
	}
	if strings.Contains(err.Error(), canary) {
		t.Errorf("the error shows the value: %v", err)
	}
}

func hides(t *testing.T, w *world[sealedSecrets]) {
	t.Helper()
	for _, table := range w.set.tables {
		if bytes.Contains(w.lab.dump(t, table), []byte(canary)) {
			t.Errorf("table %s holds a plaintext", table)
		}
	}
	if text := w.lab.log.String(); strings.Contains(text, canary) {
		t.Errorf("the log shows a plaintext: %s", around(text))
	}
	w.lab.log.reset()
}

// dry runs the operation as ToSQL does. GORM itself panics in some, and then
// does so on the plain models too.
func dry(t *testing.T, e entry[sealedSecrets], twin entry[plainSecrets], sealed *world[sealedSecrets], plain *world[plainSecrets]) {
	t.Helper()
	before := sealed.raw(t)
	if why := runDry(e, sealed); why != "" && (e.alone || e.refused != nil || runDry(twin, plain) == "") {
		t.Errorf("a dry run panics: %s", why)
	}
	if !bytes.Equal(before, sealed.raw(t)) {
		t.Error("a dry run changed rows")
	}
}

func runDry[S secrets](e entry[S], w *world[S]) (panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprint(r, "\n", string(debug.Stack()))
		}
	}()
	copied := *w
	// With a statement of its own: GORM's generics change the one of a dry run.
	copied.DB = w.Session(&gorm.Session{DryRun: true, Context: context.Background()})
	_, _ = e.run(&copied)
	return ""
}

// matrixText is the matrix for the terminal.
func matrixText(seen outcomes) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-74s", "operation")
	for _, kind := range matrixDatabases {
		fmt.Fprintf(&out, " %-10s", kind)
	}
	out.WriteString("\n")
	for _, group := range themes[sealedSecrets]() {
		for _, e := range group.entries {
			key := group.name + ": " + e.name
			fmt.Fprintf(&out, "%-74s", key)
			results := make([]string, 0, len(matrixDatabases))
			for _, kind := range matrixDatabases {
				results = append(results, seen[kind][key])
			}
			if slices.ContainsFunc(results, func(r string) bool { return r != results[0] }) || results[0] == "ok" {
				for _, r := range results {
					fmt.Fprintf(&out, " %-10s", r)
				}
			} else {
				out.WriteString(" " + results[0])
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}

const (
	docsFile  = "../docs/GORM-MATRIX.md"
	docsBegin = "<!-- matrix: go test ./gormplugin -run TestTheDocumentHoldsTheMatrix -update -->\n"
	docsEnd   = "<!-- end of matrix -->"
)

// TestTheDocumentHoldsTheMatrix keeps docs/GORM-MATRIX.md and the operations alike.
func TestTheDocumentHoldsTheMatrix(t *testing.T) {
	text, err := os.ReadFile(docsFile)
	must(t, err)
	head, rest, ok := strings.Cut(string(text), docsBegin)
	table, tail, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the matrix", docsFile)
	}
	want := matrixDocument()
	if table == want {
		return
	}
	if !*updateDocs {
		t.Fatalf("%s does not hold the matrix; run go test ./gormplugin -run TestTheDocumentHoldsTheMatrix -update", docsFile)
	}
	must(t, os.WriteFile(docsFile, []byte(head+docsBegin+want+docsEnd+tail), 0o600))
}

func matrixDocument() string {
	var out strings.Builder
	fmt.Fprintf(&out, "| operation | on %s |\n|---|---|\n", strings.Join(matrixDatabases, ", "))
	for _, group := range themes[sealedSecrets]() {
		for _, e := range group.entries {
			result := outcome(e)
			if other := outcome(e.on("mysql")); other != result {
				result += "; on mysql " + other
			}
			fmt.Fprintf(&out, "| %s: %s | %s |\n", group.name, strings.ReplaceAll(e.name, "|", `\|`), result)
		}
	}
	return out.String()
}
