package demo_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rowseal/rowseal/cmd/rowseal/internal/demo"
	"github.com/rowseal/rowseal/rotate"
)

// meter remembers what it was told.
type meter struct {
	names    *[]string
	name     string
	finished bool
	last     rotate.Progress
	t        *testing.T
}

func (m *meter) Update(p rotate.Progress) { m.last = p }

func (m *meter) Finish() {
	if m.last.Done != m.last.Total || m.last.Total == 0 || m.finished {
		m.t.Errorf("%s: finished at %+v", m.name, m.last)
	}
	m.finished = true
	*m.names = append(*m.names, m.name)
}

func TestTheDemonstrationShowsWhatItPromisesAndLeavesNothingBehind(t *testing.T) {
	dir := tempDir(t)
	var out bytes.Buffer
	var names []string
	err := demo.Run(t.Context(), demo.Config{
		People: 200, Dir: dir, Out: &out,
		Meter: func(name string) demo.Meter { return &meter{names: &names, name: name, t: t} },
	})
	text := out.String()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	empty(t, dir)
	unbroken := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		"200 people sealed through GORM", "800 values sealed", "KMS calls: 5 generate",
		`\xf5`, " 9", "200 rows opened", "New version: local:", "5 tenant keys rewrapped", "KMS calls: 5 rewrap",
		"Rows of people written for it: 0", "Version 1 of the root key deleted", "400 values of name and notes",
		"value or row belongs to another tenant", "value belongs to another column", "was altered or belongs elsewhere",
		"The server and all files of this demonstration are gone.",
	} {
		if !strings.Contains(unbroken, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if len(names) != 2 {
		t.Errorf("progress was shown for %v", names)
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestADemonstrationThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	dir := tempDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &canceler{after: "people sealed", cancel: cancel}
	err := demo.Run(ctx, demo.Config{People: 5000, Dir: dir, Out: out})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got error %v, want context.Canceled", err)
	}
	if strings.Contains(out.String(), "values/s") {
		t.Fatal("it went on after it was interrupted")
	}
	empty(t, dir)
}

// canceler ends the demonstration when a text is written.
type canceler struct {
	bytes.Buffer
	after  string
	cancel func()
}

func (c *canceler) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.after) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

func TestTheDemonstrationRefusesAConfigurationThatCannotBe(t *testing.T) {
	for _, cfg := range []demo.Config{{}, {Out: &bytes.Buffer{}, People: -1}} {
		if err := demo.Run(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "demo: ") {
			t.Errorf("got %v", err)
		}
	}
}

// tempDir is a folder that a server's own account can enter, which it cannot
// where only the test's may.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rowseal-demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing secret is in it
		t.Fatal(err)
	}
	return dir
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}
