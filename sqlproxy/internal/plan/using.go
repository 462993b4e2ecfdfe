package plan

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rowseal/rowseal/field"
)

// merging is a join by USING or NATURAL.
type merging struct {
	a           *analyzer
	sc          *scope
	j           *pg.JoinExpr
	left, right []visible
	// start is where the join's columns begin among those of the scope.
	start     int
	rightRels []*relation
}

// run puts the merged columns first. Where one of them is sealed, the join
// becomes one with ON, and what USING would have merged is written out wherever it is named.
func (m *merging) run(p *pendingOn) {
	names := m.names()
	m.unmerged()
	var merged []visible
	sealed := false
	for _, name := range names {
		l, okL := only(m.left, name)
		r, okR := only(m.right, name)
		if !okL || !okR {
			if anyVisible(m.left) || anyVisible(m.right) {
				m.a.refuse(&Refusal{
					SQLState: "42703", Position: -1,
					Message: "column " + quoted(name) + " of USING is not known, or not unique, in a statement with sealed columns",
					Hint:    "Write the join with ON.",
				})
			}
			return
		}
		sealed = sealed || l.org.isSealed() || r.org.isSealed() || l.write != "" || r.write != ""
		merged = append(merged, m.merge(l, r))
		if isTenantColumn(l.org) && isTenantColumn(r.org) {
			only := p.nullable
			if only == nil && !p.inner {
				only = []*relation{}
			}
			m.a.pairUp(l.org.rel, r.org.rel, only)
		}
	}
	if m.j.IsNatural && m.unknown() {
		m.a.refuse(unknownColumns(-1))
		return
	}
	if sealed {
		m.rewrite(names, merged, p)
	}
	for _, v := range append(slices.Clone(m.left), m.right...) {
		if !slices.Contains(names, v.name) {
			merged = append(merged, v)
		}
	}
	m.sc.visible = append(m.sc.visible[:m.start:m.start], merged...)
}

// names are the columns that are merged.
func (m *merging) names() (names []string) {
	for _, n := range m.j.UsingClause {
		names = append(names, n.GetString_().GetSval())
	}
	if !m.j.IsNatural {
		return names
	}
	for _, l := range m.left {
		if slices.ContainsFunc(m.right, func(r visible) bool { return r.name == l.name }) {
			names = append(names, l.name)
		}
	}
	return names
}

// unknown reports whether NATURAL may merge columns that are not known.
func (m *merging) unknown() bool {
	open := false
	for _, r := range m.sc.rels {
		open = open || r.unknown
	}
	return open && (anyVisible(m.left) || anyVisible(m.right))
}

func anyVisible(list []visible) bool {
	return slices.ContainsFunc(list, func(v visible) bool { return v.org.isSealed() || v.org.bad != nil })
}

func only(list []visible, name string) (visible, bool) {
	i := slices.IndexFunc(list, func(v visible) bool { return v.name == name })
	if i < 0 || slices.ContainsFunc(list[i+1:], func(v visible) bool { return v.name == name }) {
		return visible{}, false
	}
	return list[i], true
}

// merge is the column that stands for both.
func (m *merging) merge(l, r visible) visible {
	switch m.j.Jointype {
	case pg.JoinType_JOIN_RIGHT:
		return r
	case pg.JoinType_JOIN_FULL:
		v := visible{name: l.name}
		if l.org.isSealed() || r.org.isSealed() {
			v.org = m.a.merged(l.org, r.org, -1)
		}
		return v
	}
	return l
}

// rewrite turns USING into ON.
func (m *merging) rewrite(names []string, merged []visible, p *pendingOn) {
	a := m.a
	if m.j.JoinUsingAlias != nil {
		a.refuse(&Refusal{SQLState: notSupported, Position: -1, Message: "USING over sealed columns cannot have a name of its own", Hint: "Write the join with ON."})
		return
	}
	conditions := make([]string, len(names))
	var checks []func()
	for i, name := range names {
		l, _ := only(m.left, name)
		r, _ := only(m.right, name)
		if l.rel == nil && l.write == "" || r.rel == nil && r.write == "" {
			a.refuse(unlocated())
			return
		}
		left, right := l.text(), r.text()
		switch m.j.Jointype {
		case pg.JoinType_JOIN_FULL:
			merged[i].write, merged[i].unnamed = "COALESCE("+left+", "+right+")", true
		case pg.JoinType_JOIN_RIGHT:
			merged[i].write = right
		default:
			merged[i].write = left
		}
		if !l.org.isSealed() && !r.org.isSealed() {
			conditions[i] = left + " = " + right
			continue
		}
		conditions[i] = termOf(left) + " = " + termOf(right)
		checks = append(checks, func() { m.check(l.org, r.org) })
	}
	p.check = func() {
		for _, check := range checks {
			check()
		}
	}
	on := " ON (" + strings.Join(conditions, " AND ") + ")"
	if m.j.IsNatural {
		m.replaceNatural(on)
		return
	}
	at, ok := a.usingAt(m.j)
	if !ok {
		a.refuse(unlocated())
		return
	}
	tokens := a.tree.Tokens
	a.replace(tokens[at].From, tokens[a.closing(at+1)].To, strings.TrimPrefix(on, " "))
}

// check refuses to join columns whose terms cannot be compared.
func (m *merging) check(l, r origin) {
	if !l.isSealed() {
		l, r = r, l
	}
	var at int = -1
	if m.a.declaresEquality(l, "a join", at) {
		c := m.a.selfComparand(l)
		if m.a.checkCompare(r, c, at) && c.column.Scope() == field.ScopeTenant {
			m.a.checkCompare(l, m.a.selfComparand(r), at)
		}
	}
}

// replaceNatural takes NATURAL away and writes the condition behind the right side, which is a table by name.
func (m *merging) replaceNatural(on string) {
	a := m.a
	rv := m.j.Rarg.GetRangeVar()
	at := a.tree.At(int(rv.GetLocation()))
	if rv == nil || at < 1 {
		a.refuse(&Refusal{SQLState: notSupported, Position: -1, Message: "NATURAL JOIN over sealed columns with something that is not a table's name", Hint: "Write the join with ON."})
		return
	}
	natural := at - 1
	for a.kindAt(natural) != pg.Token_NATURAL {
		if natural--; natural < 0 || at-natural > 5 {
			a.refuse(unlocated())
			return
		}
	}
	end := at
	for a.isWord(end+1, ".") {
		end += 2
	}
	if a.isWord(end+1, "*") {
		end++
	}
	if rv.Alias != nil {
		if a.kindAt(end+1) == pg.Token_AS {
			end++
		}
		end = a.behindParens(end+2) - 1
	}
	a.replace(a.tree.Tokens[natural].From, a.tree.Tokens[natural].To, "")
	a.insert(a.tree.Tokens[end].To, on)
}

// usingAt returns the token USING of a join. A join's node has no place of its
// own: its USING is the first one with a parenthesis behind all that stands in
// its two sides, the USINGs of joins in them included.
func (a *analyzer) usingAt(j *pg.JoinExpr) (int, bool) {
	last := -1
	for _, side := range []*pg.Node{j.Larg, j.Rarg} {
		walk(side.ProtoReflect(), func(m protoreflect.Message) bool {
			if inner, ok := m.Interface().(*pg.JoinExpr); ok && len(inner.UsingClause) > 0 {
				if at, ok := a.usingAt(inner); ok {
					last = max(last, a.tree.Tokens[at].From)
				}
			}
			if fd := m.Descriptor().Fields().ByName("location"); fd != nil && fd.Kind() == protoreflect.Int32Kind {
				last = max(last, int(m.Get(fd).Int()))
			}
			return true
		})
	}
	at := a.tree.At(last)
	if at < 0 {
		return 0, false
	}
	for at++; at < len(a.tree.Tokens); at++ {
		if a.kindAt(at) == pg.Token_USING && a.isWord(at+1, "(") {
			return at, true
		}
	}
	return 0, false
}
