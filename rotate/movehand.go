package rotate

import (
	"context"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
)

// printElsewhere writes a step for SQLite and MySQL, where it is run by hand: neither can take the names from one column
// to another under a lock that ends by itself, and what hangs on the column is not looked for.
func (m *Move) printElsewhere(ctx context.Context, step string) (string, error) {
	if m.sealed == "" && step != "drop" {
		return "", m.wrap(m.noTransition())
	}
	h := byHand{Move: m, mysql: m.cfg.Dialect == MySQL}
	if h.mysql {
		var version string
		if err := m.cfg.DB.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
			return "", m.wrap(fmt.Errorf("asking for the server's version: %w", err))
		}
		h.held = !strings.Contains(strings.ToLower(version), "mariadb")
	}
	return h.print(step), nil
}

// byHand writes statements for databases whose schema is changed by hand.
type byHand struct {
	*Move
	mysql bool
	held  bool // MySQL 8: no column is renamed that a CHECK names
	table string
	q     func(string) string
}

func (h byHand) print(step string) string {
	h.table, h.q = h.quoting()
	var all []string
	switch step {
	case "prepare":
		all = append(h.adds(), h.trigger())
	case "swap":
		all = h.renames(h.plain, [2]string{h.plain, h.old}, [2]string{h.sealed, h.plain})
	case "drop":
		all = []string{fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(h.old))}
	case "reopen":
		all = h.renames(h.sealed, [2]string{h.plain, h.sealed})
		// The trigger would take the backfill for a program that knows the plain column only.
		all = append(all, fmt.Sprintf("-- give it the type that it is to have\nALTER TABLE %s ADD COLUMN %s %s", h.table, h.q(h.plain), h.column.Type()),
			"-- behind the backfill, and before programs use the plain column only\n"+h.trigger())
	case "drop-plain":
		all = []string{h.dropTrigger(), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(h.plain))}
	case "drop-sealed":
		all = append(append([]string{h.dropTrigger()}, h.dropGuards()...), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(h.sealed)))
	}
	return strings.Join(all, ";\n") + ";\n"
}

// adds adds the sealed column with its guards. SQLite takes a CHECK with a new column only.
func (h byHand) adds() []string {
	if !h.mysql {
		return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s BLOB %s", h.table, h.q(h.sealed), strings.Join(h.guards(guard.SQLite, h.sealed), " "))}
	}
	return []string{fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s LONGBLOB, ADD %s", h.table, h.q(h.sealed), strings.Join(h.guards(guard.MySQL, h.sealed), ", ADD "))}
}

// guards are the sealed column's, which has that name.
func (h byHand) guards(dialect guard.Dialect, column string) (all []string) {
	for _, g := range guard.Of(h.column) {
		all = append(all, fmt.Sprintf("CONSTRAINT %s CHECK (%s)", h.q(g.Name(h.Move.table.Name())), dialect.Condition(g, h.q(column))))
	}
	return all
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
	if !h.mysql {
		return nil
	}
	for _, g := range guard.Of(h.column) {
		all = append(all, fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", h.table, h.q(g.Name(h.Move.table.Name()))))
	}
	return all
}

// renames gives columns other names, all at once; sealed is the sealed column's afterwards.
func (h byHand) renames(sealed string, names ...[2]string) []string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("RENAME COLUMN %s TO %s", h.q(n[0]), h.q(n[1]))
	}
	if !h.mysql {
		all := []string{"BEGIN IMMEDIATE", h.dropTrigger()}
		for _, p := range parts {
			all = append(all, "ALTER TABLE "+h.table+" "+p)
		}
		return append(all, "COMMIT")
	}
	all := []string{h.dropTrigger()}
	rename := "ALTER TABLE " + h.table + " " + strings.Join(parts, ", ")
	if !h.held {
		return append(all, rename)
	}
	all = append(append(all, h.dropGuards()...), rename)
	return append(all, "ALTER TABLE "+h.table+" ADD "+strings.Join(h.guards(guard.MySQL, sealed), ", ADD "))
}
