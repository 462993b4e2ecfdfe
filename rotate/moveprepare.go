package rotate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
)

// action is what is run at once.
type action struct {
	statements []string
	// locks: it holds off readers and writers, and so must not wait for one with others waiting behind it.
	locks bool
	// alone: it cannot be part of a transaction.
	alone bool
}

// Prepare adds the sealed column beside the plain one, and what guards it: a CHECK that takes sealed values only, a
// trigger that lets no sealed value get stale when programs that do not know of it change the plain one, and the
// indexes over search terms that take over from those of the plain column. Rights to the plain column are given for the
// sealed one too. NOT NULL becomes a CHECK that one of both has a value.
//
// It holds the table for moments only, and waits no longer than the lock timeout for it. Errors: ErrObstacle, ErrLocked,
// ErrStage where the column is sealed already.
func (m *Move) Prepare(ctx context.Context) error {
	return m.step(ctx, func(c *catalog) ([]action, error) {
		switch s := m.stage(c); {
		case m.sealed == "":
			return nil, m.noTransition()
		case s != StageClear && s != StagePreparing && s != StagePrepared:
			return nil, fmt.Errorf("%w: column %v is %s already", ErrStage, m, s)
		}
		if err := m.refuse(m.cannot(c)); err != nil {
			return nil, err
		}
		return append(m.dropEmpty(c), m.prepares(c)...), nil
	})
}

// dropEmpty takes back what a drop of the plain column began, where programs are to write that column.
func (m *Move) dropEmpty(c *catalog) []action {
	if k := c.constraint(m.made("empty")); k != nil && m.column.Transition().Both {
		return []action{{statements: []string{c.alter() + "DROP CONSTRAINT " + quote(k.name)}, locks: true}}
	}
	return nil
}

func (m *Move) noTransition() error {
	return fmt.Errorf("%w: the policy declares no transition for %v; name the column otherwise and write %s_sealed: {id: %s, …, transition: {plain: %s, write: both}}",
		ErrStage, m, m.plain, m.column.Field().Column(), m.plain)
}

// prepares are what is missing for both columns to stand side by side.
func (m *Move) prepares(c *catalog) (all []action) {
	if !c.hasSchema {
		all = append(all, action{statements: []string{"CREATE SCHEMA rowseal"}})
	}
	var parts, validate, grants []string
	sealed, plain := c.columns[m.sealed], c.columns[m.plain]
	if sealed == nil {
		parts = append(parts, "ADD COLUMN "+quote(m.sealed)+" bytea")
	}
	if sealed == nil || !sealed.external {
		parts = append(parts, "ALTER COLUMN "+quote(m.sealed)+" SET STORAGE EXTERNAL")
	}
	for _, g := range guard.Of(m.column) {
		k := c.guardOf(g, m.sealed)
		if k == nil {
			parts = append(parts, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s) NOT VALID", quote(g.Name(c.name)), guard.PostgreSQL.Condition(g, quote(m.sealed))))
		}
		if k == nil || !k.valid {
			validate = append(validate, nameOr(k, g.Name(c.name)))
		}
	}
	some := c.constraint(m.made("some"))
	if some == nil && plain != nil && (plain.notNull || sealed != nil && sealed.notNull) {
		parts = append(parts, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s IS NOT NULL OR %s IS NOT NULL) NOT VALID", quote(m.made("some")), quote(m.plain), quote(m.sealed)))
		validate = append(validate, m.made("some"))
	} else if some != nil && !some.valid {
		validate = append(validate, some.name)
	}
	if plain != nil && plain.notNull {
		parts = append(parts, "ALTER COLUMN "+quote(m.plain)+" DROP NOT NULL")
	}
	if sealed != nil && sealed.notNull {
		parts = append(parts, "ALTER COLUMN "+quote(m.sealed)+" DROP NOT NULL")
	}
	if plain != nil {
		for _, g := range plain.grants {
			if sealed == nil || !slices.Contains(sealed.grants, g) {
				grants = append(grants, m.grant(c, g, m.sealed))
			}
		}
	}
	var first []string
	if len(parts) > 0 {
		first = append(first, c.alter()+strings.Join(parts, ", "))
	}
	if first = append(append(first, m.movingTrigger(c)...), grants...); len(first) > 0 {
		all = append(all, action{statements: first, locks: true})
	}
	for _, name := range validate {
		all = append(all, action{statements: []string{c.alter() + "VALIDATE CONSTRAINT " + quote(name)}})
	}
	return append(all, m.indexes(c, m.plain, m.sealed)...)
}

func nameOr(k *catalogConstraint, name string) string {
	if k != nil {
		return k.name
	}
	return name
}

// grant is the statement for a right as the catalog's query writes it, "SELECT to ann".
func (m *Move) grant(c *catalog, right, column string) string {
	privilege, to, _ := strings.Cut(right, " to ")
	return fmt.Sprintf("GRANT %s (%s) ON %s TO %s", privilege, quote(column), c.table(), to)
}

// indexes makes, beside readers and writers, the indexes over the sealed column's terms: those that take the place of
// the plain column's, and one of its own where none begins with the terms.
func (m *Move) indexes(c *catalog, plain, sealed string) (all []action) {
	if !guard.Searchable(m.column) {
		return nil
	}
	term := termOf(sealed)
	served := slices.ContainsFunc(c.indexes, func(i catalogIndex) bool { return i.valid && i.predicate == "" && samePart(i.parts[0], term) })
	for _, i := range c.indexes {
		if !i.carries(plain) {
			continue
		}
		if name := m.replacement(&i); !c.has(i, i.partsWith(plain, term)) {
			all = append(all, m.builds(c, c.index(name), name, i.over(plain, term, name, c)))
		}
		served = served || i.columns[0] == plain && i.predicate == ""
	}
	if !served {
		name := guard.IndexName(c.name, m.column)
		build := m.builds(c, c.index(name), name, fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON %s (%s)", quote(name), c.table(), term))
		build.statements = append(build.statements, fmt.Sprintf("COMMENT ON INDEX %s.%s IS %s", quote(c.schema), quote(name), literal(addedComment)))
		all = append(all, build)
	}
	return all
}

// addedComment marks an index over search terms that takes no plain index's place, so that the way back makes none.
const addedComment = "rowseal: the plain column had no such index"

// builds makes an index; one that was broken off before is taken away first.
func (m *Move) builds(c *catalog, broken *catalogIndex, name, create string) action {
	a := action{alone: true}
	if broken != nil {
		a.statements = append(a.statements, "DROP INDEX CONCURRENTLY "+quote(c.schema)+"."+quote(name))
	}
	a.statements = append(a.statements, create)
	return a
}

// termOf is what indexes over a sealed column's search terms are made of.
func termOf(column string) string { return "substr(" + quote(column) + ", 9, 16)" }

// samePart compares what an index is made of, in the catalog's words, which quotes names only where it must.
func samePart(have, want string) bool {
	return strings.ReplaceAll(have, `"`, "") == strings.ReplaceAll(want, `"`, "")
}

// carries says whether an index over the column can be made anew over its search terms.
func (i *catalogIndex) carries(column string) bool {
	return i.valid && !i.primary && i.method == "btree" && i.plainOrder && slices.Contains(i.columns, column) &&
		!slices.Contains(i.columns, "") && !slices.Contains(i.included, column) && !mentions(i.predicate, column)
}

// partsWith are what the index is made of, with other SQL in place of a part.
func (i *catalogIndex) partsWith(part, other string) []string {
	parts := slices.Clone(i.parts)
	for n := range parts {
		if samePart(parts[n], part) {
			parts[n] = other
		}
	}
	return parts
}

// has says whether there is an index like i that is made of parts.
func (c *catalog) has(i catalogIndex, parts []string) bool {
	return slices.ContainsFunc(c.indexes, func(other catalogIndex) bool {
		return other.valid && other.unique == i.unique && other.predicate == i.predicate && slices.EqualFunc(other.parts, parts, samePart)
	})
}

// over is the index's statement, with other SQL in place of a part.
func (i *catalogIndex) over(part, other, name string, c *catalog) string {
	parts := i.partsWith(part, other)
	unique, rest := "", ""
	if i.unique {
		unique = "UNIQUE "
	}
	if len(i.included) > 0 {
		rest = " INCLUDE (" + list(len(i.included), func(n int) string { return quote(i.included[n]) }) + ")"
	}
	if strings.Contains(i.definition, " NULLS NOT DISTINCT") {
		rest += " NULLS NOT DISTINCT"
	}
	if i.predicate != "" {
		rest += " WHERE " + i.predicate
	}
	return fmt.Sprintf("CREATE %sINDEX CONCURRENTLY %s ON %s (%s)%s", unique, quote(name), c.table(), strings.Join(parts, ", "), rest)
}

// replacement is the name of the index that takes the place of another.
func (m *Move) replacement(i *catalogIndex) string {
	sum := sha256.Sum256([]byte(i.name))
	return cutName(guard.Ours+i.name, fmt.Sprintf("_eq_%x", sum[:4]))
}

// sqlWord finds the words of an expression as the database writes it: texts in quotes, names in quotes, other names.
var sqlWord = regexp.MustCompile(`'(?:[^']|'')*'|"((?:[^"]|"")*)"|([\pL_][\pL\pN_$]*)`)

// mentions says whether an expression that the database wrote may name the column.
func mentions(text, column string) bool {
	for _, word := range sqlWord.FindAllStringSubmatch(text, -1) {
		if word[2] == column || word[1] != "" && strings.ReplaceAll(word[1], `""`, `"`) == column {
			return true
		}
	}
	return false
}
