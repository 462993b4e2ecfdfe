package field

import (
	"strings"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

// maxReuse bounds reuse.values, far below what one AES-GCM key may seal with
// random nonces (2^32).
const maxReuse = 1_000_000

// laterWords are what columns will declare once terms are normalised, and
// while they move from a plain column.
var laterWords = []string{"normalize", "transition"}

var (
	columnWords = words{accepted: []string{"type", "key", "wrap", "reuse", "pad", "id", "suite", "search", "scope", "domain"}, later: laterWords}
	keyWords    = words{accepted: []string{"tenant", "row"}}
	wrapWords   = words{accepted: []string{"kms"}}
	reuseWords  = words{accepted: []string{"values", "age"}}
)

func (r *policyReader) column(e yamlEntry) ColumnConfig {
	cfg := ColumnConfig{Name: e.name, StrictFIPS: r.strictFIPS}
	r.checkID(e.at, e.name)
	if e.value.kind == yamlText {
		r.fail(e.value, "is text, not a mapping; write {type: …}; accepted: %s", strings.Join(columnWords.accepted, ", "))
		return cfg
	}
	if r.splitType(e.value) {
		return cfg
	}
	known := len(r.problems)
	values := r.section(e, columnWords)
	if v := values["type"]; v != nil {
		cfg.Type = r.logicalType(v)
	} else if len(r.problems) == known {
		r.fail(e.at, "has no `type`; declare the logical type, as in {type: text}")
	}
	if v := values["id"]; v != nil {
		cfg.ID, _ = r.id(v)
	}
	if v := values["pad"]; v != nil {
		cfg.Pad = r.integer(v, 0, maxPad)
	}
	r.columnKey(values, &cfg)
	r.columnSearch(values, &cfg)
	return cfg
}

// columnKey reads which key seals the column, and with what.
func (r *policyReader) columnKey(values map[string]*yamlNode, cfg *ColumnConfig) {
	key, wrap, reuse, suite := values["key"], values["wrap"], values["reuse"], values["suite"]
	if key != nil && r.word(key, keyWords) == 1 {
		cfg.Mode = envelope.ModeRow
	}
	if wrap != nil && r.word(wrap, wrapWords) == 0 {
		if key == nil || key.text == "tenant" {
			r.fail(wrap, "goes with `key: row` only; add that or remove `wrap`")
		}
		cfg.Mode = envelope.ModeKMS
	}
	if reuse != nil {
		cfg.Reuse = r.reuse(reuse)
		if wrap == nil {
			r.fail(reuse, "goes with `key: row, wrap: kms` only; add these or remove `reuse`")
		}
	}
	if suite != nil {
		cfg.StrictFIPS = r.word(suite, suiteWords) == 1
		if wrap != nil {
			r.fail(suite, "does not go with `wrap: kms`, whose values have one suite only; remove `suite`")
		}
	}
}

func (r *fileReader) reuse(n *yamlNode) (u envelope.Reuse) {
	known := len(r.problems)
	values := r.mapping(n, reuseWords)
	if v := values["values"]; v != nil {
		u.Values = r.integer(v, 1, maxReuse)
	} else if len(r.problems) == known {
		r.fail(n, "has no `values`; say how many values one key may seal, 1 to %d", maxReuse)
	}
	if v := values["age"]; v != nil {
		u.Age = r.duration(v, maxHeld)
	}
	return u
}

func (r *fileReader) logicalType(n *yamlNode) codec.Type {
	s, ok := r.text(n)
	if !ok {
		return codec.Type{}
	}
	t, problem := parseType(s)
	if problem != "" {
		r.fail(n, "%s", problem)
	}
	return t
}

// splitType finds a type like numeric(10,2) in braces without quotes, where
// the comma ends the value and leaves a key "2)" without sense.
func (r *fileReader) splitType(n *yamlNode) bool {
	for _, e := range n.entries {
		if n.flow && e.name == "type" && !e.value.quoted &&
			strings.Contains(e.value.text, "(") && !strings.Contains(e.value.text, ")") {
			r.fail(e.value, "a comma ends the value in braces; write the type in quotes, as in {type: \"numeric(10,2)\"}")
			return true
		}
	}
	return false
}

// maxType is the longest text that is looked at as a type.
const maxType = 64

// typeNames are the words that a slip is compared with.
var typeNames = []string{
	"text", "varchar", "char", "bytea", "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time",
	"timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "inet", "boolean", "smallint", "integer", "bigint",
	"real", "decimal",
}

func parseType(s string) (t codec.Type, problem string) {
	if len(s) > maxType {
		return codec.Type{}, "is not a type; accepted: " + strings.Join(typeNames, ", ")
	}
	t, err := codec.ParseType(s)
	if err == nil {
		return t, ""
	}
	problem = strings.TrimPrefix(err.Error(), "codec: ")
	name := s
	if i := strings.IndexAny(s, "(["); i >= 0 {
		name = s[:i]
	}
	if near := nearest(strings.TrimSpace(name), typeNames); near != "" && !strings.EqualFold(near, name) {
		problem += "; did you mean \"" + near + "\"?"
	}
	return codec.Type{}, problem
}
