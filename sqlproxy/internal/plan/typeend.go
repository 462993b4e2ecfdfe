package plan

import pg "github.com/pganalyze/pg_query_go/v6"

// typeEnd returns the last token of the type that begins at the token i. It
// follows the grammar's Typename, without SETOF; parser and tests have seen to it that there is one.
func (a *analyzer) typeEnd(i int) (int, bool) {
	if i >= len(a.tree.Tokens) {
		return 0, false
	}
	i = a.typeWords(i)
	for {
		switch {
		case a.kindAt(i) == pg.Token_ARRAY:
			i++
		case a.isWord(i, "["):
			for i < len(a.tree.Tokens) && !a.isWord(i, "]") {
				i++
			}
			i++
		default:
			return i - 1, i <= len(a.tree.Tokens)
		}
	}
}

// typeWords returns the token behind a type without its array bounds.
func (a *analyzer) typeWords(i int) int {
	switch a.kindAt(i) {
	case pg.Token_DOUBLE_P:
		return i + 2
	case pg.Token_NATIONAL:
		return a.typeWords(i + 1)
	case pg.Token_BIT, pg.Token_CHARACTER, pg.Token_CHAR_P, pg.Token_NCHAR:
		i++
		if a.kindAt(i) == pg.Token_VARYING {
			i++
		}
		return a.behindParens(i)
	case pg.Token_TIMESTAMP, pg.Token_TIME:
		return a.behindZone(a.behindParens(i + 1))
	case pg.Token_INTERVAL:
		return a.behindFields(a.behindParens(i + 1))
	}
	for i++; a.isWord(i, "."); i += 2 {
	}
	return a.behindParens(i)
}

func (a *analyzer) behindZone(i int) int {
	if k := a.kindAt(i); (k == pg.Token_WITH || k == pg.Token_WITHOUT || k == pg.Token_WITH_LA || k == pg.Token_WITHOUT_LA) &&
		a.kindAt(i+1) == pg.Token_TIME && a.kindAt(i+2) == pg.Token_ZONE {
		return i + 3
	}
	return i
}

// behindFields passes YEAR TO MONTH and its kin.
func (a *analyzer) behindFields(i int) int {
	if !a.isField(i) {
		return i
	}
	i = a.behindParens(i + 1)
	if a.kindAt(i) == pg.Token_TO && a.isField(i+1) {
		i = a.behindParens(i + 2)
	}
	return i
}

func (a *analyzer) isField(i int) bool {
	switch a.kindAt(i) {
	case pg.Token_YEAR_P, pg.Token_MONTH_P, pg.Token_DAY_P, pg.Token_HOUR_P, pg.Token_MINUTE_P, pg.Token_SECOND_P:
		return true
	}
	return false
}

// behindParens passes a group in parentheses, if one begins at i.
func (a *analyzer) behindParens(i int) int {
	if !a.isWord(i, "(") {
		return i
	}
	return a.closing(i) + 1
}

// closing returns the token that closes the parenthesis or bracket at i; the number of tokens where none does.
func (a *analyzer) closing(i int) int {
	depth := 0
	for ; i < len(a.tree.Tokens); i++ {
		switch t := a.tree.Tokens[i]; a.tree.Text[t.From:t.To] {
		case "(", "[":
			depth++
		case ")", "]":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

func (a *analyzer) kindAt(i int) pg.Token {
	if i < 0 || i >= len(a.tree.Tokens) {
		return pg.Token_NUL
	}
	return a.tree.Tokens[i].Kind
}
