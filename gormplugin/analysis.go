package gormplugin

import (
	"slices"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// analysis is what a statement's text says about sealed columns. It is the
// last check in front of the driver, and the way in which result columns are
// recognised; it holds for what GORM built as for what was written by hand.
type analysis struct {
	err    error      // why the statement is refused
	sealed bool       // it names a table with sealed columns
	params []paramUse // parameters that must be sealed
	plains []plainUse // parameters for plain columns beside sealed ones
	items  []item     // what it returns
	star   bool       // items has a *
	// combines: it has a UNION, so that result columns are of several SELECTs.
	combines bool
	refs     map[string][]*model
	moves    *field.Column // a sealed column of a table whose tenant or row id is assigned
	moved    string        // that tenant or row id column
	operands []operand     // parameters that stand for a sealed column's terms
	shares   []shared      // columns whose terms are compared with each other
	ranged   bool          // some operands stand for two parameters each, or more
	doubles  []doubled     // comparisons that ask for a plain column too
	transits bool          // a table's column is in transition
	numbered bool          // parameters have numbers: $1
	given    int           // how many parameters the text was given with
	text     string        // the statement as it is sent
}

// paramUse is a parameter that is written to a sealed column.
type paramUse struct {
	param  int
	table  string
	column string
}

// item is an element of the list after SELECT or RETURNING.
type item struct {
	star   bool   // * or t.*
	plain  bool   // a column and nothing else
	qual   string // table name or alias; "" for none
	column string
	out    string // name of the result column; "" where the database chooses it
	from   int    // tokens of a plain column's name
	next   int
	clear  int  // place of the plain column of one in transition, plus 1
	hidden bool // it was added, as such a column
}

// tableRef is a table, with the name that it goes by, at a place of the text.
type tableRef struct {
	at    int
	name  string
	found []*model
}

// tableLookup finds the models of a table with sealed columns.
type tableLookup func(name string) []*model

// parser reads a statement. It does not understand SQL; it knows the places in
// which a sealed column is harmless, and everything else is refused.
type parser struct {
	tokens   []token
	lookup   tableLookup
	allowed  []bool // tokens that name a sealed column in a harmless place
	table    []bool // tokens that name a table or its alias
	aliases  []string
	models   []*model
	target   []*model // of INSERT and UPDATE; "excluded" means it too
	upsert   bool     // inside ON CONFLICT, where excluded is the inserted row
	texted   bool     // a table's name stands in single quotes
	strange  bool     // a function goes by a table's name
	tables   []tableRef
	rows     map[string]bool // sub-queries whose rows have all of a table's columns
	d        dialect
	sql      string
	edits    []edit
	blocks   []int              // the query of each token; see blockOf
	tablesIn map[int][]tableRef // the tables of each query
	listEnd  int                // where the list ends that the statement returns; 0 for none
	extra    int                // parameters that were added
	analysis
}

// analyse reads a statement.
func analyse(sql string, d dialect, lookup tableLookup) *analysis {
	tokens, ok := lex(sql, d)
	p := &parser{
		tokens: tokens, lookup: lookup, d: d, sql: sql, allowed: make([]bool, len(tokens)), table: make([]bool, len(tokens)),
		rows: map[string]bool{}, analysis: analysis{refs: map[string][]*model{}, text: sql, numbered: d.dollars},
	}
	p.read(ok)
	a := p.analysis // without the tokens: it is kept
	return &a
}

// read fills in the analysis; lexed says that all of the text has been split.
func (p *parser) read(lexed bool) {
	for _, t := range p.tokens {
		if t.kind == tokenParam {
			p.given = max(p.given, t.param+1)
		}
	}
	if !p.mentionsTable() {
		if lexed {
			return
		}
		// What cannot be read may name anything; it is the database's to
		// refuse, unless a table's name stands in it.
		p.models = p.buried(p.sql)
	}
	if p.sealed = len(p.models) > 0; !p.sealed {
		return
	}
	if !lexed {
		p.fail("", ErrStatement, "it has an unfinished literal or comment, or names written with escapes")
		return
	}
	if p.texted {
		p.fail("", ErrStatement, "write the table's name without quotes, or in double quotes")
		return
	}
	p.findRows()
	p.findTables()
	p.nested()
	p.statement()
	p.single()
	p.bring()
	p.text = p.rewritten()
}

func (p *parser) fail(column string, err error, remedy string) {
	if p.err == nil {
		p.err = p.models[0].refuse(column, err, remedy)
	}
}

func (p *parser) failAt(c *field.Column, err error, remedy string) {
	if p.err == nil {
		p.err = &Error{Table: c.Table().Name(), Column: c.Name(), Err: err, Remedy: remedy}
	}
}

// mentionsTable finds the models whose table's name stands anywhere.
func (p *parser) mentionsTable() bool {
	for i, t := range p.tokens {
		if t.isName() {
			p.know(p.lookup(t.text))
		}
		if t.kind == tokenText && i > 0 && hidesText(p.tokens[0]) {
			p.know(p.buried(t.text))
		}
		if t.kind == tokenText && !p.d.dollars && p.tableBefore(i) {
			if found := p.lookup(strings.ToLower(t.text)); len(found) > 0 {
				p.know(found)
				p.texted = true
			}
		}
	}
	return len(p.models) > 0
}

// tableBefore says whether a table's name may follow the token before i.
// SQLite takes 'x' for a name where a literal cannot stand.
func (p *parser) tableBefore(i int) bool {
	switch before := p.at(i - 1); before.text {
	case "from", "join", "into", "update", "table", "replace", "ignore", "abort", "fail", "rollback", "only":
		return before.kind == tokenWord
	case "(":
		return p.at(i-2).is("from") || p.at(i-2).is("join") || p.tableBefore(i-1)
	case ".":
		return before.kind == tokenSymbol
	case ",":
		return before.kind == tokenSymbol && p.fromList(i-1)
	}
	return false
}

// fromList says whether the comma at i stands between the tables of a FROM.
func (p *parser) fromList(i int) bool {
	depth := p.at(i).depth
	for i--; i >= 0 && p.at(i).depth >= depth; i-- {
		if t := p.at(i); t.depth == depth && t.kind == tokenWord && (t.text == "from" || (reserved[t.text] && t.text != "as")) {
			return t.text == "from"
		}
	}
	return false
}

// buried finds models in text that is not read as a statement of its own.
func (p *parser) buried(text string) (found []*model) {
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return r < 0x80 && !isWordByte(byte(r)) }) {
		found = append(found, p.lookup(w)...)
	}
	return found
}

// onlyReferenced leaves out the models whose table's name stands only where
// it is no table's, such as a column of another table.
func (p *parser) onlyReferenced() {
	if len(p.refs) == 0 || p.strange {
		return
	}
	p.models = nil
	for _, found := range p.refs {
		p.know(found)
	}
	p.sealed = len(p.models) > 0
}

func (p *parser) know(found []*model) {
	for _, m := range found {
		if !slices.Contains(p.models, m) {
			p.models = append(p.models, m)
		}
	}
}

// at returns the token at i, or one that is nothing.
func (p *parser) at(i int) token {
	if i < 0 || i >= len(p.tokens) {
		return token{}
	}
	return p.tokens[i]
}

// chain reads a.b.c at i: its parts and the index behind it.
func (p *parser) chain(i int) (parts []string, next int) {
	for p.at(i).isName() {
		parts = append(parts, p.at(i).text)
		if !p.at(i+1).is(".") || !p.at(i+2).isName() {
			return parts, i + 1
		}
		i += 2
	}
	return parts, i
}

// split returns the qualifier and the column of a chain.
func split(parts []string) (qual, column string) {
	if n := len(parts); n > 1 {
		return parts[n-2], parts[n-1]
	}
	return "", parts[0]
}

// closing returns the index of the parenthesis that closes the one at i.
func (p *parser) closing(i int) int {
	depth := p.at(i).depth
	for j := i + 1; j < len(p.tokens); j++ {
		if p.tokens[j].is(")") && p.tokens[j].depth == depth {
			return j
		}
	}
	return len(p.tokens)
}

// until returns the first index from i on where the statement at that depth
// ends or one of words stands.
func (p *parser) until(i, depth int, words ...string) int {
	for ; i < len(p.tokens); i++ {
		t := p.tokens[i]
		if t.depth < depth || (t.depth == depth && t.is(";")) {
			return i
		}
		if t.depth == depth && t.kind == tokenWord && !p.at(i-1).is("as") && slices.Contains(words, t.text) {
			return i
		}
	}
	return i
}

// commas splits [lo, hi) at the commas of that depth.
func (p *parser) commas(lo, hi, depth int, each func(lo, hi int)) {
	from := lo
	for i := lo; i <= hi; i++ {
		if i == hi || (p.tokens[i].depth == depth && p.tokens[i].is(",")) {
			if i > from {
				each(from, i)
			}
			from = i + 1
		}
	}
}

// findTables learns the names and aliases that stand for tables.
func (p *parser) findTables() {
	for i, t := range p.tokens {
		if t.kind != tokenWord {
			continue
		}
		switch t.text {
		case "from", "join", "straight_join", "update", "into", "using", "table":
			if (t.text == "from" && p.at(i-1).is("distinct")) || (t.text == "using" && (p.at(i+1).is("(") || p.at(i+2).is(")"))) {
				continue
			}
			at := i + 1
			if t.text == "update" && p.at(at).is("or") {
				at += 2 // UPDATE OR IGNORE
			}
			if before := p.at(i - 1); t.text == "from" || t.text == "using" || (t.text == "update" && !before.is("key") && !before.is("do")) {
				p.tableList(at)
			} else {
				p.tableAt(at)
			}
			if t.text != "into" {
				p.columnAliases(at)
			}
		}
	}
}

// tableList reads the tables from i on to the end of their FROM: the first, and
// each behind a comma. What stands between them is not understood.
func (p *parser) tableList(i int) {
	depth := p.at(i).depth
	end := p.until(i, depth, "where", "group", "having", "order", "limit", "offset", "fetch", "window", "union",
		"intersect", "except", "returning", "conflict", "duplicate", "set", "into")
	p.tableAt(i)
	for ; i < end; i++ {
		if p.at(i).depth == depth && p.at(i).is(",") {
			p.tableAt(i + 1)
		}
	}
}

// tableAt reads the table, function or parentheses at i, and the alias.
func (p *parser) tableAt(i int) {
	into := p.at(i - 1).is("into")
	for p.at(i).is("only") || p.at(i).is("lateral") {
		i++
	}
	if p.at(i).is("(") {
		if inner := p.at(i + 1); inner.isName() || inner.is("(") {
			p.tableList(i + 1) // FROM (a CROSS JOIN b)
		}
		end := p.closing(i) + 1
		p.stranger(end)
		p.alias(end, "", nil)
		return
	}
	parts, next := p.chain(i)
	if len(parts) == 0 || p.table[i] {
		return
	}
	found := p.lookup(strings.Join(parts, "."))
	for j := i; j < next; j++ {
		p.table[j] = true
	}
	if p.at(next).is("(") && !into { // a function
		next, found = p.closing(next)+1, nil
		p.stranger(next)
	}
	p.alias(next, parts[len(parts)-1], found)
}

// alias records what [AS] name after a table stands for.
func (p *parser) alias(i int, table string, found []*model) {
	if p.at(i).is("as") {
		i++
	}
	if !p.at(i).isName() {
		if table != "" {
			p.refer(i-1, table, found)
		}
		return
	}
	p.table[i] = true
	if p.at(i).text == "excluded" {
		p.fail("", ErrStatement, "excluded means the row of an INSERT; give the table another alias")
	}
	if table != "" {
		p.refer(i, p.at(i).text, found)
		p.rows[p.at(i).text] = p.rows[p.at(i).text] || p.rows[table]
		return
	}
	p.tables = append(p.tables, tableRef{at: i, name: p.at(i).text}) // a sub-query's or function's
}

// refer records what a name stands for. One that stands for two tables, as in
// FROM old AS t of an INSERT INTO t, may mean either.
func (p *parser) refer(at int, name string, found []*model) {
	p.refs[name] = slices.Concat(p.refs[name], found)
	p.tables = append(p.tables, tableRef{at: at, name: name, found: found})
}

// modelsOf returns the models that a qualifier may mean. Without one, or with
// one that is no table's, it may be any that the statement names.
func (p *parser) modelsOf(qual string) []*model {
	if qual == "excluded" && len(p.target) > 0 {
		return p.target
	}
	if found, ok := p.refs[qual]; ok && qual != "" && !p.rows[qual] {
		return found
	}
	return p.models
}

// sealedColumn returns the sealed column that a name may mean, or nil.
func (p *parser) sealedColumn(qual, name string) *field.Column {
	return columnOf(p.modelsOf(qual), name)
}
