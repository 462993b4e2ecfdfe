package field

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

// Tag is a parsed `rowseal:"…"` struct tag.
type Tag struct {
	// Seal: the field's column is sealed, as Column says. Every word that
	// describes a sealed column says so too, not only "seal".
	Seal bool
	// Tenant: the field holds the row's tenant.
	Tenant bool
	// RowID: the field holds the id that the row's values are bound to.
	RowID bool
	// Column is what the tag says of a sealed column. Its Name is "", and its
	// Type zero where the tag names none; see [Tag.ColumnConfig].
	Column ColumnConfig
}

// tagKey is the key of Rowseal's struct tags.
const tagKey = "rowseal"

var (
	tagWords = words{
		accepted: []string{"seal", "tenant", "rowid", "type", "key", "wrap", "reuse", "pad", "id", "suite", "search", "scope", "domain"},
		later:    laterWords,
	}
	tagSuites = words{accepted: []string{"hkdf"}}
)

// ParseTag reads what stands in the quotes of `rowseal:"…"`, words with commas
// between them:
//
//	seal            seal the column; the type follows from the Go field
//	type=T          seal it as logical type T, as in type=numeric(10,2)
//	key=tenant|row  which key seals: the tenant's (the default) or the row's own
//	wrap=kms        the row's key comes from the KMS; with key=row
//	reuse=N/AGE     one such key seals up to N values, for AGE; with wrap=kms
//	pad=N           round the length up to a multiple of N bytes
//	id=NAME         the stable name bound into values; default the column's
//	suite=hkdf      derive keys with HKDF-SHA256 instead of XAES-256-GCM's way
//	search=KINDS    find it by these conditions, with | between them: equality
//	scope=global    tenants share index keys (scope=tenant: they do not, the default)
//	domain=NAME     columns of one domain share index keys and can be compared
//	tenant          the field holds the row's tenant, and is not sealed
//	rowid           the field holds the row's id, and is not sealed
//
// Unknown words, words of a later version and contradictions are refused.
func ParseTag(tag string) (Tag, error) {
	t, err := parseTag(tag)
	if err != nil {
		return Tag{}, fmt.Errorf("rowseal: struct tag: %w", err)
	}
	return t, nil
}

// ColumnConfig returns the config of the sealed column that t describes: name
// is the column's name, goType the field's type, which gives the logical type
// where the tag names none.
func (t Tag) ColumnConfig(name string, goType reflect.Type) (ColumnConfig, error) {
	cfg, err := t.columnConfig(name, goType)
	if err != nil {
		return ColumnConfig{}, fmt.Errorf("rowseal: column %s: %w", name, err)
	}
	return cfg, nil
}

func (t Tag) columnConfig(name string, goType reflect.Type) (ColumnConfig, error) {
	if !t.Seal {
		return ColumnConfig{}, errors.New("its tag does not seal it; add the word seal")
	}
	cfg := t.Column
	cfg.Name = name
	if cfg.Type.Valid() {
		return cfg, nil
	}
	var err error
	if cfg.Type, err = codec.TypeOf(goType); err != nil {
		return ColumnConfig{}, fmt.Errorf("%w (a tag names the type as in `%s:\"type=text\"`)", err, tagKey)
	}
	return cfg, nil
}

// tagWord is a word of a tag, with its value if it has one.
type tagWord struct {
	key, value string
	valued     bool
}

func parseTag(tag string) (Tag, error) {
	parts, err := splitTag(tag)
	if err != nil {
		return Tag{}, err
	}
	var t Tag
	seen := map[string]bool{}
	for _, part := range parts {
		var w tagWord
		w.key, w.value, w.valued = strings.Cut(part, "=")
		w.key, w.value = strings.TrimSpace(w.key), strings.TrimSpace(w.value)
		if problem := tagWords.check(w.key); problem != "" {
			return Tag{}, errors.New(problem)
		}
		if seen[w.key] {
			return Tag{}, fmt.Errorf("%q is written twice; keep one", w.key)
		}
		seen[w.key] = true
		if err := t.apply(w); err != nil {
			return Tag{}, fmt.Errorf("%s: %w", w.key, err)
		}
	}
	return t, t.contradiction(seen)
}

// splitTag cuts at commas outside parentheses.
func splitTag(tag string) (parts []string, err error) {
	if strings.TrimSpace(tag) == "" {
		return nil, fmt.Errorf("is empty; accepted: %s", strings.Join(tagWords.accepted, ", "))
	}
	depth, from := 0, 0
	for i, c := range tag {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts, from = append(parts, tag[from:i]), i+1
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("%s: its parentheses do not match", shownTag(tag))
	}
	return append(parts, tag[from:]), nil
}

// apply takes one word into t.
func (t *Tag) apply(w tagWord) error {
	flag := w.key == "seal" || w.key == "tenant" || w.key == "rowid"
	switch {
	case flag && w.valued:
		return errors.New("takes no value")
	case !flag && w.value == "":
		return fmt.Errorf("needs a value, as in %s", tagExamples[w.key])
	}
	switch w.key {
	case "tenant":
		t.Tenant = true
		return nil
	case "rowid":
		t.RowID = true
		return nil
	}
	t.Seal = true
	return t.applyColumn(w)
}

func (t *Tag) applyColumn(w tagWord) error {
	problem := ""
	switch w.key {
	case "type":
		t.Column.Type, problem = parseType(w.value)
	case "key":
		problem = keyWords.check(w.value)
		if w.value == "row" {
			t.Column.Mode = envelope.ModeRow
		}
	case "wrap":
		problem = wrapWords.check(w.value)
	case "reuse":
		t.Column.Reuse, problem = parseReuse(w.value)
	case "pad":
		t.Column.Pad, problem = parseInteger(w.value, 0, maxPad)
	case "id":
		t.Column.ID = w.value
		if len(w.value) > maxID {
			problem = fmt.Sprintf("has %d bytes; accepted: 1 to %d bytes", len(w.value), maxID)
		}
	case "suite":
		problem = tagSuites.check(w.value)
		t.Column.StrictFIPS = true
	default:
		problem = t.applySearch(w)
	}
	if problem != "" {
		return errors.New(problem)
	}
	return nil
}

// applySearch takes the words that say how the column is found.
func (t *Tag) applySearch(w tagWord) (problem string) {
	switch w.key {
	case "search":
		t.Column.Search, problem = parseSearch(w.value)
	case "scope":
		problem = scopeWords.check(w.value)
		if w.value == "global" {
			t.Column.Scope = ScopeGlobal
		}
	case "domain":
		t.Column.Domain = w.value
		if len(w.value) > maxID {
			problem = fmt.Sprintf("has %d bytes; accepted: 1 to %d bytes", len(w.value), maxID)
		}
	}
	return problem
}

// contradiction refuses words that exclude each other, and takes wrap=kms into
// the mode once key=row is known.
func (t *Tag) contradiction(seen map[string]bool) error {
	switch {
	case t.Seal && t.Tenant:
		return errors.New("tenant: a tenant column cannot be sealed too; keep tenant alone")
	case t.Seal && t.RowID:
		return errors.New("rowid: a row id cannot be sealed too; keep rowid alone")
	case seen["wrap"] && t.Column.Mode != envelope.ModeRow:
		return errors.New("wrap: goes with key=row only; add that or remove wrap")
	case seen["reuse"] && !seen["wrap"]:
		return errors.New("reuse: goes with key=row,wrap=kms only; add these or remove reuse")
	case seen["search"] && seen["wrap"]:
		return errors.New("search: needs index keys from a key store and does not go with wrap=kms; remove one of them")
	case seen["scope"] && !seen["search"]:
		return errors.New("scope: goes with search only; add search=equality or remove scope")
	case seen["domain"] && !seen["search"]:
		return errors.New("domain: goes with search only; add search=equality or remove domain")
	case seen["suite"] && seen["wrap"]:
		return errors.New("suite: does not go with wrap=kms, whose values have one suite only; remove suite")
	}
	if seen["wrap"] {
		t.Column.Mode = envelope.ModeKMS
	}
	return nil
}

var tagExamples = map[string]string{
	"type": "type=varchar(45)", "key": "key=row", "wrap": "wrap=kms", "reuse": "reuse=100/1m", "pad": "pad=32",
	"id": "id=ssn", "suite": "suite=hkdf", "search": "search=equality", "scope": "scope=global", "domain": "domain=ssn",
}

// parseReuse reads "100/1m" or "100".
func parseReuse(s string) (u envelope.Reuse, problem string) {
	values, age, aged := strings.Cut(s, "/")
	if u.Values, problem = parseInteger(values, 1, maxReuse); problem != "" {
		return u, "the number of values " + problem + ", as in reuse=100/1m"
	}
	if aged {
		if u.Age, problem = parseDuration(age, maxHeld); problem != "" {
			return u, "the age " + problem
		}
	}
	return u, ""
}

func shownTag(tag string) string { return fmt.Sprintf("`%s:%q`", tagKey, tag) }
