package gormplugin

import (
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/field"
)

// checkPlain refuses a plain column that c cannot take over from: one whose
// values are of another type, that would get plaintexts by itself, or that
// cannot be emptied.
func (m *migrator) checkPlain(t target, c *field.Column, have presentColumn) error {
	relax := func(to string) string {
		if change := m.sql.relax(quoterOf(m.db), t.table, have); change != "" {
			return to + ": " + change
		}
		return to + ": create the table anew without that, and copy the rows"
	}
	into := c.Transition()
	switch {
	case !m.sql.holds(have.Type, c.Type(), into.Both):
		remedy := fmt.Sprintf("its plain column %s is %s, which cannot stand for %v; ", into.Plain, have.Type, c.Type())
		if into.Both && m.sql.holds(have.Type, c.Type(), false) {
			return t.refuse(c.Name(), ErrMigration, remedy+"widen it, give the field a type that fits, or write to the sealed column only")
		}
		return t.refuse(c.Name(), ErrMigration, remedy+"give the field the type of the plain column")
	case have.Default.Valid && !isNullDefault(have.Default.String):
		return t.refuse(c.Name(), ErrMigration, relax("its plain column "+into.Plain+" has a default, which would be stored in clear and read; take that away"))
	case !have.Nullable && !into.Both:
		return t.refuse(c.Name(), ErrMigration, relax("its plain column "+into.Plain+" is NOT NULL, and is set to NULL where the sealed one is written; allow that"))
	}
	return nil
}

// isNullDefault knows NULL, also as PostgreSQL writes it: NULL::text.
func isNullDefault(expr string) bool {
	word, _, _ := strings.Cut(expr, "::")
	return strings.EqualFold(strings.TrimSpace(word), "null")
}

func (postgresSQL) relax(quote quoter, table string, c presentColumn) string {
	return fmt.Sprintf("ALTER TABLE %[1]s ALTER COLUMN %[2]s DROP NOT NULL, ALTER COLUMN %[2]s DROP DEFAULT", quote(table), quote(c.Name))
}

func (mysqlSQL) relax(quote quoter, table string, c presentColumn) string {
	alter := fmt.Sprintf("ALTER TABLE %s ", quote(table))
	if c.Nullable {
		return alter + fmt.Sprintf("ALTER COLUMN %s SET DEFAULT NULL", quote(c.Name))
	}
	kind := c.Type
	if c.Collate != "" {
		kind += " COLLATE " + c.Collate // MODIFY would take the table's
	}
	return alter + fmt.Sprintf("MODIFY COLUMN %s %s NULL", quote(c.Name), kind)
}

func (sqliteSQL) relax(quoter, string, presentColumn) string { return "" }
