package plan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// copyStmt analyses COPY.
func (a *analyzer) copyStmt(s *pg.CopyStmt) Stmt {
	out := &Copy{In: s.IsFrom, TenantAt: -1, RowIDAt: -1}
	var names []string
	at := 0
	if s.Relation != nil {
		at = int(s.Relation.Location)
		names = a.copyTable(s, out)
	} else {
		names = a.copyQuery(s, out)
	}
	sealed := slices.IndexFunc(out.Columns, func(o Output) bool { return len(o.Possible) > 0 })
	if a.refusal != nil || sealed < 0 {
		return Stmt{}
	}
	refuse := func(why, hint string) {
		c := out.Columns[sealed].Possible[0]
		a.refuse(&Refusal{
			SQLState: "0A000", Position: at, Table: c.Table().Name(), Column: c.Name(),
			Message: "COPY with sealed column \"" + c.String() + "\": " + why, Hint: hint,
		})
	}
	if s.IsProgram || s.Filename != "" {
		refuse("the server's files and programs are out of the proxy's sight", "COPY FROM STDIN or TO STDOUT, as psql's \\copy does.")
	}
	a.copyOptions(s.Options, out, names, refuse)
	return Stmt{Copy: out}
}

// copyQuery analyses COPY (query) TO.
func (a *analyzer) copyQuery(s *pg.CopyStmt, out *Copy) (names []string) {
	var cols []column
	if q := s.Query.GetSelectStmt(); q != nil {
		cols = a.query(&scope{}, q, nil)
	} else {
		cols, _ = a.writing(&scope{}, s.Query)
	}
	for _, c := range cols {
		names = append(names, c.name)
	}
	out.Columns = a.outputs(cols, s.Query)
	return names
}

// copyTable analyses COPY of a table and returns the names of the data's columns.
func (a *analyzer) copyTable(s *pg.CopyStmt, out *Copy) (names []string) {
	sc := &scope{}
	w := a.writeTarget(sc, s.Relation)
	if w == nil {
		return nil
	}
	var columns []int
	for _, n := range s.Attlist {
		i := a.targetColumn(w, &pg.ResTarget{Name: n.GetString_().GetSval(), Location: s.Relation.Location})
		if i < 0 {
			return nil
		}
		columns = append(columns, i)
	}
	if len(s.Attlist) == 0 {
		for i := range w.rel.cols {
			if b := w.base(i); b == nil || !b.Generated {
				columns = append(columns, i)
			}
		}
	}
	for _, i := range columns {
		names = append(names, w.rel.cols[i].name)
	}
	if w.anyMoving(columns) || len(s.Attlist) == 0 && len(w.rel.hidden) > 0 {
		a.refuse(copyOfMoving(w.rel.table, s))
		return nil
	}
	if !s.IsFrom {
		cols := make([]column, len(columns))
		for j, i := range columns {
			cols[j] = w.rel.cols[i]
		}
		out.Columns = a.outputs(cols, nil)
		return names
	}
	a.expr(sc, s.WhereClause, forbid("COPY … WHERE"))
	a.writable(w, columns, int(s.Relation.Location))
	a.copyIn(w, columns, int(s.Relation.Location), out)
	return names
}

// copyIn says what COPY FROM seals, and for whom.
func (a *analyzer) copyIn(w *writing, columns []int, at int, out *Copy) {
	out.Table = w.table
	out.TenantAt, out.RowIDAt = slices.Index(columns, w.tenantAt()), slices.Index(columns, w.rowIDAt())
	for at, chars := range map[int]*int{w.tenantAt(): &out.TenantChars, w.rowIDAt(): &out.RowIDChars} {
		if b := w.baseOrNil(at); b != nil {
			*chars = b.Chars
		}
	}
	sealed := false
	for _, i := range columns {
		o, typ := Output{TenantAt: -1, RowIDAt: -1}, uint32(0)
		if b := w.base(i); b != nil {
			typ = a.c.Catalog.BaseOf(b.Type)
		}
		if c := w.sealed(i); c != nil {
			o.Possible, sealed = w.rel.cols[i].origin.possible, true
			typ = c.Type().OID()
		}
		out.Columns, out.Types = append(out.Columns, o), append(out.Types, typ)
	}
	for i := range w.rel.cols {
		if !slices.Contains(columns, i) {
			a.serverDefault(w, i, at)
		}
	}
	if !sealed {
		return
	}
	a.shownOnce(w)
	for _, at := range []int{w.tenantAt(), w.rowIDAt()} {
		if b := w.baseOrNil(at); b != nil && b.Unfit != "" {
			own := owner{problem: b.Unfit}
			a.refuseColumn(w.table.Columns()[0], -1, own.problem, own.remedy(""))
		}
	}
	if out.TenantAt < 0 {
		tenant := a.sessions(w.table)
		if w.table.Tenant().Column != "" {
			tenant = a.tenantValue(w, nil)
		}
		if tenant.problem != "" {
			a.refuseColumn(w.table.Columns()[0], at, tenant.problem, "Copy the tenant's column too, or set rowseal.tenant.")
		}
	}
	if w.table.RowID() != "" && out.RowIDAt < 0 {
		a.refuseColumn(w.table.Columns()[0], at, "values are bound to the row's id, which the server would give", "Copy the id's column too.")
	}
}

// copyOptions reads the options of COPY, in its old and its new spelling, which
// the parser gives alike. What it does not know is refused: it may change what the data means.
func (a *analyzer) copyOptions(list []*pg.Node, out *Copy, names []string, refuse func(why, hint string)) {
	out.Format = "text"
	options := map[string]*pg.Node{}
	for _, n := range list {
		d := n.GetDefElem()
		name := strings.ToLower(d.Defname)
		options[name] = d.Arg
		switch name {
		case "format":
			out.Format = strings.ToLower(optionText(d.Arg))
		case "header":
			out.Header = optionTrue(d.Arg)
		case "delimiter", "null", "quote", "escape", "default", "force_quote", "force_not_null", "force_null", "freeze", "oids", "log_verbosity":
		case "encoding":
			if e := strings.ReplaceAll(strings.ToLower(optionText(d.Arg)), "-", ""); e != "utf8" && e != "unicode" {
				refuse("only ENCODING 'UTF8' is understood", "Leave ENCODING out.")
			}
		case "on_error":
			if !strings.EqualFold(optionText(d.Arg), "stop") {
				refuse("values are checked before the server sees them, so that it cannot pass over bad ones", "Leave ON_ERROR out.")
			}
		default:
			refuse("the option "+name+" is not known", "Leave it out.")
		}
	}
	a.copyCharacters(options, out, refuse)
	if out.Default != "" && out.Table != nil {
		refuse("DEFAULT would give sealed columns the server's default", "Leave DEFAULT out.")
	}
	out.ForceQuote = forced(options["force_quote"], names)
	out.ForceNotNull = forced(options["force_not_null"], names)
	out.ForceNull = forced(options["force_null"], names)
}

// copyCharacters sets the characters that divide the data.
func (a *analyzer) copyCharacters(options map[string]*pg.Node, out *Copy, refuse func(why, hint string)) {
	switch out.Format {
	case "text":
		out.Delimiter, out.Null = '\t', `\N`
	case "csv":
		out.Delimiter, out.Quote = ',', '"'
	case "binary":
	default:
		refuse("the format is not known", "Use text, csv or binary.")
	}
	one := func(name string, to *byte) {
		n, ok := options[name]
		if !ok {
			return
		}
		if text := optionText(n); len(text) == 1 {
			*to = text[0]
		} else {
			refuse(name+" must be a single one-byte character", "")
		}
	}
	one("delimiter", &out.Delimiter)
	one("quote", &out.Quote)
	out.Escape = out.Quote
	one("escape", &out.Escape)
	if n, ok := options["null"]; ok {
		out.Null = optionText(n)
	}
	if n, ok := options["default"]; ok {
		out.Default = optionText(n)
	}
}

// forced reads FORCE_QUOTE and its kin: one entry for each column; nil for none.
func forced(n *pg.Node, names []string) []bool {
	if n == nil {
		return nil
	}
	out := make([]bool, len(names))
	list := n.GetList().GetItems()
	for i, name := range names {
		out[i] = n.GetAStar() != nil || slices.ContainsFunc(list, func(e *pg.Node) bool {
			return e.GetString_().GetSval() == name || e.GetAStar() != nil
		})
	}
	return out
}

func optionText(n *pg.Node) string {
	switch {
	case n.GetString_() != nil:
		return n.GetString_().Sval
	case n.GetTypeName() != nil:
		return lastName(n.GetTypeName().Names)
	case n.GetBoolean() != nil && n.GetBoolean().Boolval:
		return "true"
	}
	return ""
}

// optionTrue reads an option that may stand without a value. HEADER's word match is true too.
func optionTrue(n *pg.Node) bool {
	if n == nil || n.GetInteger() != nil && n.GetInteger().Ival != 0 {
		return true
	}
	switch strings.ToLower(optionText(n)) {
	case "true", "on", "1", "match":
		return true
	}
	return false
}
