package rotate

import (
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
)

// printElsewhere writes a step for SQLite and MySQL, where it is run by hand: neither can take the names from one column
// to another under a lock that ends by itself, and what hangs on the column is not looked for.
func (m *Move) printElsewhere(step string) (string, error) {
	if m.sealed == "" && step != "drop" {
		return "", m.wrap(m.noTransition())
	}
	h := byHand{Move: m, mysql: m.cfg.Dialect == MySQL}
	h.table, h.q = m.quoting()
	var all []string
	switch step {
	case "prepare":
		all = append(h.adds(), h.trigger())
	case "swap":
		all = h.renames([2]string{m.plain, m.old}, [2]string{m.sealed, m.plain})
	case "drop":
		all = []string{fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(m.old))}
	case "reopen":
		all = h.renames([2]string{m.plain, m.sealed})
		all = append(all, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s -- the type that it is to have", h.table, h.q(m.plain), m.column.Type()))
		return strings.Join(all, ";\n") + "\n", nil
	case "drop-plain":
		all = []string{h.dropTrigger(), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(m.plain))}
	case "drop-sealed":
		all = append(h.dropGuards(), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(m.sealed)))
	}
	return strings.Join(all, ";\n") + ";\n", nil
}

// byHand writes statements for databases whose schema is changed by hand.
type byHand struct {
	*Move
	mysql bool
	table string
	q     func(string) string
}

// adds adds the sealed column with its guards. SQLite takes a CHECK with a new column only.
func (h byHand) adds() []string {
	typ, dialect := "BLOB", guard.SQLite
	if h.mysql {
		typ, dialect = "LONGBLOB", guard.MySQL
	}
	guards := make([]string, 0, 2)
	for _, g := range guard.Of(h.column) {
		guards = append(guards, fmt.Sprintf("CONSTRAINT %s CHECK (%s)", h.q(g.Name(h.Move.table.Name())), dialect.Condition(g, h.q(h.sealed))))
	}
	if !h.mysql {
		return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s %s", h.table, h.q(h.sealed), typ, strings.Join(guards, " "))}
	}
	return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s, ADD %s", h.table, h.q(h.sealed), typ, strings.Join(guards, ", ADD "))}
}

// trigger has a plain value that was changed alone take the sealed one's place.
func (h byHand) trigger() string {
	name, plain, sealed := h.q(h.Move.trigger("moving")), h.q(h.plain), h.q(h.sealed)
	if h.mysql {
		return fmt.Sprintf("CREATE TRIGGER %s BEFORE UPDATE ON %s FOR EACH ROW SET NEW.%s = "+
			"IF(NOT (CAST(OLD.%s AS BINARY) <=> CAST(NEW.%[4]s AS BINARY)) AND OLD.%[3]s <=> NEW.%[3]s, NULL, NEW.%[3]s)", name, h.table, sealed, plain)
	}
	return fmt.Sprintf("CREATE TRIGGER %s AFTER UPDATE ON %s FOR EACH ROW WHEN OLD.%s IS NOT NEW.%[3]s AND OLD.%[4]s IS NEW.%[4]s "+
		"BEGIN UPDATE %[2]s SET %[4]s = NULL WHERE rowid = NEW.rowid; END", name, h.table, plain, sealed)
}

func (h byHand) dropTrigger() string {
	return "DROP TRIGGER IF EXISTS " + h.q(h.Move.trigger("moving"))
}

// dropGuards drops what MySQL does not drop with the column; SQLite drops no column that has a CHECK of its own.
func (h byHand) dropGuards() (all []string) {
	all = []string{h.dropTrigger()}
	for _, g := range guard.Of(h.column) {
		if h.mysql {
			all = append(all, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", h.table, h.q(g.Name(h.Move.table.Name()))))
		}
	}
	return all
}

// renames gives columns other names, all at once.
func (h byHand) renames(names ...[2]string) []string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("RENAME COLUMN %s TO %s", h.q(n[0]), h.q(n[1]))
	}
	if h.mysql {
		return []string{h.dropTrigger(), "ALTER TABLE " + h.table + " " + strings.Join(parts, ", ")}
	}
	all := []string{"BEGIN IMMEDIATE", h.dropTrigger()}
	for _, p := range parts {
		all = append(all, "ALTER TABLE "+h.table+" "+p)
	}
	return append(all, "COMMIT")
}
