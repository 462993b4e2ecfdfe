package parse

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// level is what is known of an open bracket, or of a statement.
type level struct {
	open pg.Token
	// chain counts operators since the last separator: each makes the tree of the
	// item deeper, as `a + b + c` is a tree that leans to the left.
	chain int
	// joins counts joins and set operations, which commas do not end.
	joins int
	// inner is the depth of the deepest bracket of the item, best that of the deepest item before it.
	inner, best int
	// between counts those BETWEEN whose AND has not come.
	between int
}

func (l *level) depth() int { return 1 + l.joins + max(l.best, l.chain+l.inner) }

func (l *level) separate() {
	l.best = max(l.best, l.chain+l.inner)
	l.chain, l.inner, l.between = 0, 0, 0
}

// nest is the brackets that are open at a place of a text. CASE … END is one too.
type nest []level

func (n *nest) top() *level { return &(*n)[len(*n)-1] }

func (n *nest) push(open pg.Token) { *n = append(*n, level{open: open}) }

func (n *nest) pop() {
	d := n.top().depth()
	*n = (*n)[:len(*n)-1]
	n.top().inner = max(n.top().inner, d)
}

// closeBracket ends the innermost bracket and whatever CASE in it lacks its END.
func (n *nest) closeBracket() {
	for len(*n) > 1 {
		last := n.top().open == pg.Token_CASE
		n.pop()
		if !last {
			return
		}
	}
}

// tooDeep returns the index of the first token at which the tree of a text is
// known to become deeper than the limit, -1 where it does not. The depth is
// never underestimated by more than a factor that does not depend on the text.
func tooDeep(tokens []Token, limit int) int {
	n := nest{{}}
	for i, t := range tokens {
		switch kind := t.Kind; {
		case kind == pg.Token_ASCII_59:
			n = append(n[:0], level{})
		case kind == pg.Token_ASCII_40 || kind == pg.Token_ASCII_91:
			n.push(kind)
		case kind == pg.Token_ASCII_41 || kind == pg.Token_ASCII_93:
			n.closeBracket()
		case kind == pg.Token_CASE && (i == 0 || tokens[i-1].Kind != pg.Token_ASCII_46 && tokens[i-1].Kind != pg.Token_AS):
			n.push(kind)
		case kind == pg.Token_END_P && n.top().open == pg.Token_CASE:
			n.pop()
		case kind == pg.Token_AND && n.top().between > 0:
			n.top().between--
		case kind == pg.Token_BETWEEN:
			n.top().between++
			n.top().chain++
		case separates(kind):
			n.top().separate()
		case joins(kind):
			n.top().joins++
		case chains(kind):
			n.top().chain++
		default:
			continue
		}
		if len(n)+n.top().depth() > limit {
			return i
		}
	}
	return -1
}

// separates says whether what comes next is beside what was before, not above
// it. The parser makes lists of AND and OR.
func separates(kind pg.Token) bool {
	switch kind {
	case pg.Token_ASCII_44, pg.Token_AND, pg.Token_OR, pg.Token_WHEN, pg.Token_THEN, pg.Token_ELSE,
		pg.Token_SELECT, pg.Token_WHERE, pg.Token_SET:
		return true
	}
	return false
}

func joins(kind pg.Token) bool {
	switch kind {
	case pg.Token_JOIN, pg.Token_UNION, pg.Token_EXCEPT, pg.Token_INTERSECT:
		return true
	}
	return false
}

func chains(kind pg.Token) bool {
	switch kind {
	case pg.Token_ASCII_37, pg.Token_ASCII_42, pg.Token_ASCII_43, pg.Token_ASCII_45, pg.Token_ASCII_47,
		pg.Token_ASCII_60, pg.Token_ASCII_61, pg.Token_ASCII_62, pg.Token_ASCII_94, pg.Token_Op,
		pg.Token_LESS_EQUALS, pg.Token_GREATER_EQUALS, pg.Token_NOT_EQUALS, pg.Token_TYPECAST,
		pg.Token_NOT, pg.Token_NOT_LA, pg.Token_IS, pg.Token_ISNULL, pg.Token_NOTNULL, pg.Token_COLLATE,
		pg.Token_AT, pg.Token_LIKE, pg.Token_ILIKE, pg.Token_SIMILAR, pg.Token_IN_P,
		pg.Token_OVERLAPS, pg.Token_OPERATOR:
		return true
	}
	return false
}
