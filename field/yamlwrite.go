package field

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rowseal/rowseal/envelope"
)

// YAML returns the policy as the section `tables` of a policy file. [ParseFile]
// reads it back to an equal policy. See [Policy.AppendYAML].
func (p *Policy) YAML() []byte { return p.AppendYAML(nil) }

// AppendYAML appends what [Policy.YAML] returns to dst: tables and columns in
// the order of their declaration, and nothing that is the default.
func (p *Policy) AppendYAML(dst []byte) []byte {
	if len(p.tables) == 0 {
		return append(dst, "tables: {}\n"...)
	}
	dst = append(dst, "tables:\n"...)
	for _, t := range p.tables {
		dst = t.appendYAML(dst)
	}
	return dst
}

func (t *Table) appendYAML(dst []byte) []byte {
	dst = appendKey(dst, "  ", t.name)
	dst = append(dst, '\n')
	if t.id != strings.TrimPrefix(t.name, publicSchema) {
		dst = appendLine(dst, "    id: ", yamlScalar(t.id))
	}
	var tenant []string
	if t.tenant.Column != "" {
		tenant = append(tenant, "column: "+yamlScalar(t.tenant.Column))
	}
	if t.tenant.Default != "" {
		tenant = append(tenant, "default: "+yamlScalar(t.tenant.Default))
	}
	if tenant != nil {
		dst = appendLine(dst, "    tenant: ", yamlBraces(tenant))
	}
	if t.rowID != "" {
		dst = appendLine(dst, "    rowid: ", yamlBraces([]string{"column: " + yamlScalar(t.rowID)}))
	}
	dst = append(dst, "    columns:\n"...)
	for _, c := range t.columns {
		dst = appendKey(dst, "      ", c.name)
		dst = appendLine(dst, " ", yamlBraces(c.yamlWords()))
	}
	return dst
}

// yamlWords are the column's declarations, without defaults.
func (c *Column) yamlWords() []string {
	w := []string{"type: " + yamlType(c.typ.String())}
	switch c.mode {
	case envelope.ModeTenant:
	case envelope.ModeRow:
		w = append(w, "key: row")
	case envelope.ModeKMS:
		w = append(w, "key: row", "wrap: kms")
	}
	if c.reuse != (envelope.Reuse{}) {
		reuse := []string{"values: " + strconv.Itoa(c.reuse.Values)}
		if c.reuse.Age != 0 {
			reuse = append(reuse, "age: "+formatDuration(c.reuse.Age))
		}
		w = append(w, "reuse: "+yamlBraces(reuse))
	}
	if c.pad != 0 {
		w = append(w, "pad: "+strconv.Itoa(c.pad))
	}
	if c.suite == envelope.SuiteHKDF || c.suite == envelope.SuiteRowHKDF {
		w = append(w, "suite: hkdf")
	}
	w = append(w, c.searchWords()...)
	if c.field.Column() != c.name {
		w = append(w, "id: "+yamlScalar(c.field.Column()))
	}
	return w
}

// searchWords are how the column is found, without defaults.
func (c *Column) searchWords() (w []string) {
	if kinds := c.search.words(); kinds != nil {
		w = append(w, "search: ["+strings.Join(kinds, ", ")+"]")
	}
	if c.scope != ScopeTenant {
		w = append(w, "scope: "+c.scope.String())
	}
	if c.domain != "" {
		w = append(w, "domain: "+yamlScalar(c.domain))
	}
	return w
}

func yamlBraces(words []string) string { return "{" + strings.Join(words, ", ") + "}" }

func appendKey(dst []byte, indent, key string) []byte {
	return append(append(append(dst, indent...), yamlScalar(key)...), ':')
}

func appendLine(dst []byte, before, value string) []byte {
	return append(append(append(dst, before...), value...), '\n')
}

// yamlWordsOfItsOwn read as something other than text, in one version of YAML
// or another.
var yamlWordsOfItsOwn = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

// yamlScalar writes s as text: bare where every YAML reader agrees that it is
// text, else in double quotes.
func yamlScalar(s string) string {
	bare := s != "" && !slices.Contains(yamlWordsOfItsOwn, strings.ToLower(s))
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		bare = bare && (letter || i > 0 && strings.ContainsRune("0123456789.-", c))
	}
	if bare {
		return s
	}
	return yamlQuoted(s)
}

// yamlType leaves varchar(45) bare; a comma or bracket needs quotes in braces.
func yamlType(s string) string {
	if strings.ContainsAny(s, ",[]") {
		return yamlQuoted(s)
	}
	return s
}

// yamlQuoted writes s in double quotes, with every character escaped that is
// not printable or that a reader could take for a line break.
func yamlQuoted(s string) string {
	b := []byte{'"'}
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case strconv.IsPrint(c) && c != utf8.RuneError:
			b = utf8.AppendRune(b, c)
		case c > 0xffff:
			b = fmt.Appendf(b, `\U%08x`, c)
		default:
			b = fmt.Appendf(b, `\u%04x`, c)
		}
	}
	return string(append(b, '"'))
}
