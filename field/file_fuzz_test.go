package field

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// FuzzParseFile looks for panics, for errors without a place, and for policies
// that do not come back from what they are written as.
func FuzzParseFile(f *testing.F) {
	paths, err := filepath.Glob("testdata/file/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{
		"{}", "tables: {}", "---\nnamespace: a\n...\n", "\ufeffnamespace: \"\\x41\\u00e9\\U0001F600\"\r\n",
		"tables: {a: {tenant: {column: b, default: c}, columns: {d: {type: \"int4[]\", reuse: {values: 1, age: 1d}}}}}",
		"tables: {a: {columns: {b: {type: text, search: [equality], scope: global, domain: \"c d\"}}}}",
		"a: [b, {c: d}]\n", "? a\n: b\n", "a: &x 1\nb: *x\n<<: *x\n", "a: |\n  b\n", strings.Repeat("[", 40), strings.Repeat("- ", 40),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkNothingDropped(t, data)
		file, err := ParseFile("f.yaml", data)
		if err != nil {
			checkPlaced(t, err)
			return
		}
		again, err := ParseFile("f.yaml", file.Policy.YAML())
		if err != nil {
			t.Fatalf("%v\nin\n%s", err, file.Policy.YAML())
		}
		if !reflect.DeepEqual(again.Policy, file.Policy) {
			t.Fatalf("another policy came back from\n%s", file.Policy.YAML())
		}
	})
}

// checkNothingDropped fails if a value that stands in the file is missing in
// its tree: a word that the parser lost would be accepted and ignored.
func checkNothingDropped(t *testing.T, data []byte) {
	t.Helper()
	root := (&fileReader{}).parse(data)
	if root == nil {
		return
	}
	written := 0
	for _, tk := range lexer.Tokenize(strings.TrimPrefix(string(data), "\ufeff")) {
		if isScalar(tk.Type) && tk.Type != token.NullType {
			written++
		}
	}
	if read := countScalars(root); read != written {
		t.Fatalf("%d values are written, %d were read", written, read)
	}
}

func countScalars(n *yamlNode) (count int) {
	switch n.kind {
	case yamlNull:
	case yamlSequence:
		for _, item := range n.items {
			count += countScalars(item)
		}
	case yamlMapping:
		for _, e := range n.entries {
			count += countScalars(e.at) + countScalars(e.value)
		}
	default:
		count = 1
	}
	return count
}

// checkPlaced fails unless err is what ParseFile promises: one to ten errors
// with a place, and at most one more line that says there are more.
func checkPlaced(t *testing.T, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T is not a joined error", err)
	}
	all := joined.Unwrap()
	if len(all) == 0 || len(all) > maxProblems+1 {
		t.Fatalf("%d errors", len(all))
	}
	for _, e := range all[:min(len(all), maxProblems)] {
		var placed *FileError
		if !errors.As(e, &placed) || placed.Line < 1 || placed.Column < 1 || placed.Problem == "" {
			t.Fatalf("an error without a place: %v", e)
		}
	}
}
