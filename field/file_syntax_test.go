package field

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestWhatIsNotAPlainYAMLMappingIsRefused(t *testing.T) {
	const empty = "f:1:1: the file is empty; accepted: namespace, keys, tenant, tables, proxy, rotation"
	for _, tt := range []struct{ name, text, want string }{
		{"an empty file", "", empty},
		{"a file of comments", "# nothing\n", empty},
		{"an empty document", "---\n", empty},
		{"null", "null\n", empty},
		{"a file without keys", "{}", "f:1:1: is empty; accepted: namespace, keys, tenant, tables, proxy, rotation"},
		{"a list", "- a\n", "f:1:1: is a list, not a mapping; accepted: namespace, keys, tenant, tables, proxy, rotation"},
		{"text", "a", "f:1:1: is text, not a mapping; accepted: namespace, keys, tenant, tables, proxy, rotation"},
		{"a section without value", "tables:\n", "f:1:1: tables: has no value; write one or remove the key"},
		{"tables as a list", "tables: []", "f:1:9: tables: is a list, not a mapping; accepted: the names of tables"},
		{"columns as a list", "tables: {a: {columns: [b]}}", "f:1:23: tables.a.columns: names no column; declare those to seal, as in `columns: {ssn: {type: text}}`"},
		{"a mapping for text", "namespace:\n  a: b\n", "f:2:3: namespace: is a mapping, not text"},
		{"a key twice", "namespace: a\nnamespace: b\n", "f:2:1: namespace: is written twice, first on line 1; keep one"},
		{"a key twice, once in quotes", "namespace: a\n\"namespace\": b\n", "f:2:1: namespace: is written twice, first on line 1; keep one"},
		{"an anchor", "namespace: &a x\n", "f:1:12: anchors (&name) are not supported; write the value out"},
		{"an alias", "namespace: *a\n", "f:1:12: aliases (*name) are not supported; write the value out"},
		{"a merge key", "<<: {namespace: x}\n", "f:1:1: merge keys (<<) are not supported; write the values out"},
		{"a tag", "namespace: !!str 5\n", "f:1:12: tags (!name) are not supported; remove it"},
		{"a directive", "%YAML 1.2\n---\nnamespace: a\n", "f:1:1: directives (%NAME) are not supported; remove the line"},
		{"a complex key", "? namespace\n: a\n", "f:1:1: complex keys (?) are not supported; write \"key: value\""},
		{"literal text", "namespace: |\n  a\n", "f:1:12: block text (|) is not supported; write the value on one line"},
		{"folded text", "namespace: >\n  a\n", "f:1:12: block text (>) is not supported; write the value on one line"},
		{"a second document", "namespace: a\n---\nnamespace: b\n", "f:2:1: a second YAML document begins here; keep one"},
		{"a second, empty document", "---\nnamespace: a\n---\n", "f:3:1: a second YAML document begins here; keep one"},
		{"more after the end", "namespace: a\n...\nnamespace: b\n", "f:3:1: a second YAML document begins here; keep one"},
		{"text over two lines", "namespace: a\n  b\n", "f:1:12: a value goes over several lines here; write it on one, and check the indentation"},
		{"quoted text over two lines", "namespace: 'a\n  b'\n", "f:1:12: a value goes over several lines here; write it on one, and check the indentation"},
		{"a key indented too far", "keys:\n  kms: local:///a\n   store: postgres\n", "f:2:8: a value goes over several lines here; write it on one, and check the indentation"},
		{"a key indented too little", "keys:\n  kms: local:///a\n store: postgres\n", "f:3:2: is not YAML: value is not allowed in this context"},
		{"a tab", "keys:\n\tstore: postgres\n", "f:2:1: is not YAML: a tab cannot stand here; indent with spaces"},
		{"an open quote", "namespace: \"a\n", "f:1:12: is not YAML: could not find end character of double-quoted text"},
		{
			"an open brace", "keys: {store: postgres\n", "f:1:7: is not YAML: could not find flow mapping end token '}'; inside braces, " +
				"text with a bracket, brace or comma goes in quotes, as in {type: \"int4[]\"}",
		},
		{
			"a bare array type in braces", "tables: {a: {columns: {b: {type: int4[]}}}}", "f:1:38: is not YAML: ',' or '}' must be specified; " +
				"inside braces, text with a bracket, brace or comma goes in quotes, as in {type: \"int4[]\"}",
		},
		{"a header with the text behind it", "namespace: |secret\n", "f:1:12: is not YAML: invalid header option"},
		{"bytes that are not UTF-8", "namespace: a\nkeys: \xff\n", "f:2:7: is not UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfea\x00:\x00", "f:1:1: is not UTF-8; save the file as UTF-8"},
		{"a NUL", "namespace: é\x00", "f:1:13: holds the control character U+0000; remove it"},
		{"an escape character", "namespace: \x1b[1m", "f:1:12: holds the control character U+001B; remove it"},
		{"deep brackets", "a: " + strings.Repeat("[", 100000), "f:1:19: is nested more than 16 levels deep"},
		{"deep braces", strings.Repeat("{a: ", 50000), "f:1:65: is nested more than 16 levels deep"},
		{"deep lists", strings.Repeat("- ", 100000), "f:1:33: is nested more than 16 levels deep"},
		{"deep indentation", deepMapping(17), "f:17:17: is nested more than 16 levels deep"},
		{"too many keys", manyKeys(1001, "\n"), "f:1001:1: is one of more than 1000 keys or list entries side by side"},
		{"too many list entries", "keys:\n  kms:\n" + strings.Repeat("    - a\n", 1001), "f:1003:5: is one of more than 1000 keys or list entries side by side"},
		{"too many keys in braces", "a: {" + manyKeys(1001, ", ") + "}", "f:1:8893: is one of more than 1000 keys or list entries side by side"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, tt.text, tt.want) })
	}
}

func checkRefused(t *testing.T, text, want string) {
	t.Helper()
	_, err := ParseFile("f", []byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	if got := err.Error(); got != want {
		t.Errorf("got\n\t%s\nwant\n\t%s", got, want)
	}
}

func deepMapping(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(n int, separator string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: a%s", i, separator)
	}
	return b.String()
}

func TestAThousandTablesAreAccepted(t *testing.T) {
	var b strings.Builder
	b.WriteString("tables:\n")
	for i := range maxSiblings {
		fmt.Fprintf(&b, "  table_%d:\n    columns:\n      ssn: {type: text}\n      name: {type: \"varchar(45)\", key: row}\n", i)
	}
	f, err := ParseFile("f", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Policy.Tables()); n != maxSiblings {
		t.Errorf("%d tables", n)
	}
}

func TestOfManyErrorsTheFirstTenAreReported(t *testing.T) {
	text := "tables:\n  a:\n    columns:\n" + strings.ReplaceAll(manyKeys(900, "\n"), "k", "      k") +
		"keys:\n" + strings.ReplaceAll(manyKeys(900, "\n"), "k", "  k")
	_, err := ParseFile("f", []byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	checkPlaced(t, err)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 || !strings.HasPrefix(lines[0], "f:4:11: tables.a.columns.k0: ") ||
		lines[10] != "f: there are more errors; these are the first 10" {
		t.Errorf("got\n%v", err)
	}
}

func TestAnErrorOfTheParserWithoutAPlaceIsNotRepeated(t *testing.T) {
	r := &fileReader{name: "f"}
	r.syntaxError(errors.New("near postgres://u:hunter2@h"))
	if got := r.err().Error(); got != "f:1:1: is not YAML" {
		t.Error(got)
	}
}

// A file that is damaged anywhere must not have its credentials printed.
func TestNoErrorShowsACredential(t *testing.T) {
	data, err := os.ReadFile("testdata/file/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(data), "tables:")
	text = strings.Replace(text, "keys:secret@", "keys:hunter2@", 1)
	text = strings.Replace(text, "region=eu-west-1", "token=swordfish", 1)
	refused := 0
	check := func(damaged string) {
		_, err := ParseFile("f", []byte(damaged))
		if err == nil {
			return
		}
		refused++
		if s := err.Error(); strings.Contains(s, "hunter2") || strings.Contains(s, "swordfish") {
			t.Errorf("the error for\n%s\nis\n%s", damaged, s)
		}
	}
	for i := range text {
		check(text[:i])
		check(text[:i] + text[i+1:])
		for _, s := range []string{"\t", "\n", ":", ": ", " ", "{", "}", "[", "]", ", ", "\"", "'", "#", " #", "&", "*", "!", "|", "-", "\n- ", "\x00", "\\"} {
			check(text[:i] + s + text[i:])
		}
	}
	if refused < 1000 {
		t.Errorf("only %d damaged files were refused", refused)
	}
}
