package rotate

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/rowseal/rowseal/envelope"
)

// Reopen begins the way back from a sealed column to a plain one: the sealed column gets the name that it has in
// transition, and a plain column the name that programs know: the old one if it was not dropped, else a new one. The policy
// says `write: both` by then, and a job of [Unseal] fills the plain column.
//
// Errors: ErrStage where the policy declares no transition with `write: both`, ErrObstacle, ErrLocked.
func (m *Move) Reopen(ctx context.Context) error {
	switch {
	case m.sealed == "":
		return m.wrap(m.noTransition())
	case !m.column.Transition().Both:
		return m.wrap(fmt.Errorf("%w: the policy says `write: sealed`, so that programs would leave %s empty; write `write: both`, and deploy it first", ErrStage, m.plain))
	}
	return m.step(ctx, func(c *catalog) ([]action, error) {
		switch s := m.stage(c); s {
		case StageClear:
			return nil, fmt.Errorf("%w: it is clear already", ErrStage)
		case StagePreparing, StagePrepared:
			if err := m.refuse(append(m.cannot(c), m.tooNarrow(c)...)); err != nil {
				return nil, err
			}
			return append(m.dropEmpty(c), m.prepares(c)...), nil
		}
		return []action{{statements: m.reopens(c), locks: true}}, nil
	})
}

// reopens are the statements by which both columns stand side by side again.
func (m *Move) reopens(c *catalog) []string {
	have := c.columns[m.plain]
	all := m.dropTrigger(c, "moved")
	required := have.notNull
	if k := c.constraint(m.made("set")); k != nil {
		required, all = true, append(all, c.alter()+"DROP CONSTRAINT "+quote(k.name))
	}
	all = append(all, c.alter()+"RENAME COLUMN "+quote(m.plain)+" TO "+quote(m.sealed))
	if c.columns[m.old] != nil {
		all = append(all, c.alter()+"RENAME COLUMN "+quote(m.old)+" TO "+quote(m.plain))
	} else {
		all = append(all, c.alter()+"ADD COLUMN "+quote(m.plain)+" "+m.column.Type().String())
		for _, g := range have.grants {
			all = append(all, m.grant(c, g, m.plain))
		}
		if have.comment != "" {
			all = append(all, fmt.Sprintf("COMMENT ON COLUMN %s.%s IS %s", c.table(), quote(m.plain), literal(have.comment)))
		}
	}
	if refuses := m.refusesSealed(); refuses != "" && c.constraint(m.made("clear")) == nil {
		all = append(all, c.alter()+fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s) NOT VALID", quote(m.made("clear")), refuses))
	}
	if required {
		drop := ""
		if have.notNull {
			drop = ", ALTER COLUMN " + quote(m.sealed) + " DROP NOT NULL"
		}
		all = append(all, c.alter()+fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s IS NOT NULL OR %s IS NOT NULL) NOT VALID%s",
			quote(m.made("some")), quote(m.plain), quote(m.sealed), drop))
	}
	return append(all, m.movingTrigger(c)...)
}

// refusesSealed is the condition that a plain column holds no sealed value of this column, "" where its type takes none.
// Who has not heard of the way back yet goes on writing sealed values under the name, which PostgreSQL puts into a column
// of text as the digits of their bytes, without an error.
func (m *Move) refusesSealed() string {
	id := m.column.Field().ID()
	sealed := append([]byte{envelope.Magic}, id[:]...)
	plain := quote(m.plain)
	typ, _, _ := strings.Cut(m.column.Type().String(), "(")
	switch strings.TrimSpace(typ) {
	case "bytea":
		return fmt.Sprintf("substr(%s, 1, %d) <> decode('%x', 'hex')", plain, len(sealed), sealed)
	case "text", "varchar", "char":
		// Both ways that bytea_output has, of which one writes what is printable as it is.
		escaped := ""
		for _, b := range sealed {
			switch {
			case b == '\\':
				escaped += `\\`
			case b < 0x20 || b > 0x7e:
				escaped += fmt.Sprintf(`\%03o`, b)
			default:
				escaped += string(rune(b))
			}
		}
		hex := fmt.Sprintf(`\x%x`, sealed)
		return fmt.Sprintf("left(%[1]s, %[2]d) <> %[3]s AND left(%[1]s, %[4]d) <> %[5]s", plain, len(hex), literal(hex), len(escaped), literal(escaped))
	}
	return ""
}

// tooNarrow says that the plain column does not take all values of the logical type.
func (m *Move) tooNarrow(c *catalog) []Obstacle {
	plain := c.columns[m.plain]
	if plain == nil || plain.modifier == "-1" || plain.modifier == fmt.Sprint(m.column.Type().Modifier()) {
		return nil
	}
	return []Obstacle{{
		What: fmt.Sprintf("%s is %s in the database and %v in the policy, and may not take all values", m.plain, plain.typ, m.column.Type()),
		Fix:  c.alter() + "ALTER COLUMN " + quote(m.plain) + " TYPE " + m.column.Type().String(), Stops: true,
	}}
}

// plainIndexes makes what indexes over search terms do for the plain column, where it has no such index.
func (m *Move) plainIndexes(c *catalog) (all []action) {
	term := termOf(m.sealed)
	for _, i := range c.indexes {
		if !slices.ContainsFunc(i.parts, func(p string) bool { return samePart(p, term) }) || !i.valid || i.added || i.method != "btree" || mentions(i.predicate, m.sealed) {
			continue
		}
		if c.has(i, i.partsWith(term, quote(m.plain))) {
			continue
		}
		sum := sha256.Sum256([]byte(i.name))
		name := cutName(c.name+"_"+m.plain, fmt.Sprintf("_%x_idx", sum[:4]))
		all = append(all, m.builds(c, c.index(name), name, i.over(term, quote(m.plain), name, c)))
	}
	return all
}

// Print returns what a step would run now, as a script for the database's owner: "prepare", "swap", "drop", "drop-plain",
// "reopen" or "drop-sealed". The rows that swap and the last two deal with under the lock are not in it: the backfill
// must have left none, and programs must write both columns. What would lose a row's value by that fails.
func (m *Move) Print(ctx context.Context, step string) (string, error) {
	if m.cfg.Dialect != PostgreSQL {
		return m.printElsewhere(ctx, step)
	}
	c, err := m.look(ctx, m.cfg.DB)
	if err != nil {
		return "", m.wrap(err)
	}
	s := m.stage(c)
	if m.sealed == "" && step != "drop" {
		return "", m.wrap(m.noTransition())
	}
	switch {
	case step == "prepare" && (s == StageClear || s == StagePreparing || s == StagePrepared):
		if err := m.refuse(m.cannot(c)); err != nil {
			return "", m.wrap(err)
		}
		return m.script(append(m.dropEmpty(c), m.prepares(c)...)), nil
	case step == "reopen" && (s == StagePreparing || s == StagePrepared):
		return m.script(append(m.dropEmpty(c), m.prepares(c)...)), nil
	case step == "reopen" && (s == StageSwapped || s == StageFinished || s == StageSealed):
		return m.script([]action{{statements: m.reopens(c), locks: true}}), nil
	case step == "swap" && s == StageSwapped:
		return m.script(m.setNotNull(c, m.plain)), nil
	case step == "swap" && s == StagePrepared:
		return m.script(m.lastly(c, m.leftIndex(c, m.plain, m.sealed), append(m.guards(c, m.plain, m.sealed), m.swaps(m.withLeft(c, m.plain))...))), nil
	case step == "drop-plain" && s == StagePrepared:
		return m.script(m.lastly(c, nil, m.dropsOne(c, m.plain, m.sealed))), nil
	case step == "drop-sealed" && s == StagePrepared:
		before := append(m.plainIndexes(c), m.leftIndex(c, m.sealed, m.plain)...)
		return m.script(m.lastly(c, before, append(m.guards(c, m.sealed, m.plain), m.dropsOne(m.withLeft(c, m.sealed), m.sealed, m.plain)...))), nil
	case step == "drop" && s == StageFinished:
		drop := m.drops(c)[0]
		drop.statements = append([]string{m.guardSQL(c, m.old, m.plain)}, drop.statements...)
		return m.script([]action{drop}), nil
	}
	return "", nil
}

// guards are the statements of a printed step by which it changes nothing where rows have a value in from and none in to.
// Under the lock they find them by the index that is made for that.
func (m *Move) guards(c *catalog, from, to string) []string {
	return []string{"LOCK TABLE " + c.table() + " IN ACCESS EXCLUSIVE MODE", "SET LOCAL enable_seqscan = off", m.guardSQL(c, from, to)}
}

func (m *Move) guardSQL(c *catalog, from, to string) string {
	message := fmt.Sprintf("rows of %s have a value in %s and none in %s; run the backfill first", c.name, from, to)
	return fmt.Sprintf("SET LOCAL row_security = off;\nDO $rowseal$ BEGIN IF EXISTS (SELECT FROM %s WHERE %s IS NOT NULL AND %s IS NULL) THEN RAISE EXCEPTION USING MESSAGE = %s; END IF; END $rowseal$",
		c.table(), quote(from), quote(to), literal(message))
}

// withLeft is the catalog as it is once the index of [Move.leftIndex] is there.
func (m *Move) withLeft(c *catalog, from string) *catalog {
	if c.index(m.leftName(from)) != nil {
		return c
	}
	after := *c
	after.indexes = append(slices.Clone(c.indexes), catalogIndex{name: m.leftName(from), valid: true})
	return &after
}

// lastly are the actions of a step that ends with one column, which may be NOT NULL.
func (m *Move) lastly(c *catalog, before []action, statements []string) []action {
	all := append(before, action{statements: statements, locks: true})
	if c.constraint(m.made("some")) != nil {
		after := *c
		after.constraints = []catalogConstraint{{name: m.made("set"), kind: "c"}}
		name := m.plain
		if strings.HasSuffix(statements[len(statements)-1], "DROP COLUMN "+quote(m.plain)) {
			name = m.sealed
		}
		after.columns = map[string]*catalogColumn{name: {}}
		all = append(all, m.setNotNull(&after, name)...)
	}
	return all
}

// script writes actions as SQL.
func (m *Move) script(all []action) string {
	var b strings.Builder
	for _, a := range all {
		body := strings.Join(a.statements, ";\n") + ";\n"
		if !a.locks {
			b.WriteString(body)
			continue
		}
		fmt.Fprintf(&b, "BEGIN;\nSET LOCAL lock_timeout = '%v'; SET LOCAL search_path = pg_catalog, pg_temp;\n%sCOMMIT;\n", m.opt.LockTimeout, body)
	}
	return b.String()
}
