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
	if err := h.look(ctx); err != nil {
		return "", m.wrap(fmt.Errorf("looking at the table: %w", err))
	}
	return h.print(step), nil
}

// look asks for what the statements depend on.
func (h *byHand) look(ctx context.Context) error {
	schema, name, qualified := strings.Cut(h.Move.table.Name(), ".")
	if !qualified {
		schema, name = "", schema
	}
	if h.mysql {
		return h.cfg.DB.QueryRowContext(ctx, "SELECT count(*) > 0 FROM information_schema.columns WHERE table_schema = coalesce(nullif(?, ''), DATABASE()) AND table_name = ? AND column_name = ?",
			schema, name, h.old).Scan(&h.kept)
	}
	if schema == "" {
		schema = "main"
	}
	var bare bool
	err := h.cfg.DB.QueryRowContext(ctx, "SELECT (SELECT count(*) > 0 FROM pragma_table_info(?1, ?2) WHERE name = ?3), coalesce((SELECT wr FROM pragma_table_list WHERE schema = ?2 AND name = ?1 COLLATE NOCASE), 0)",
		name, schema, h.old).Scan(&h.kept, &bare)
	if err != nil || !bare {
		return err
	}
	found, err := texts(ctx, h.cfg.DB, "SELECT name FROM pragma_table_info(?1, ?2) WHERE pk > 0 ORDER BY pk", name, schema)
	for _, f := range found {
		h.key = append(h.key, f[0])
	}
	return err
}

// byHand writes statements for databases whose schema is changed by hand.
type byHand struct {
	*Move
	mysql bool
	held  bool     // MySQL 8: no column is renamed that a CHECK names
	kept  bool     // the plain column of before is there, under its old name
	key   []string // of a table of SQLite without rowids
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
		all = h.reopens()
	case "drop-plain":
		all = []string{h.dropTrigger(), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(h.plain))}
	case "drop-sealed":
		all = append(append([]string{h.dropTrigger()}, h.dropGuards()...), fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", h.table, h.q(h.sealed)))
	}
	return strings.Join(all, ";\n") + ";\n"
}

// reopens has the column of before take its name back, empty: nothing has kept its values up to date.
func (h byHand) reopens() (all []string) {
	if h.kept {
		all = append([]string{fmt.Sprintf("UPDATE %s SET %s = NULL", h.table, h.q(h.old))},
			h.renames(h.sealed, [2]string{h.plain, h.sealed}, [2]string{h.old, h.plain})...)
	} else {
		all = append(h.renames(h.sealed, [2]string{h.plain, h.sealed}),
			fmt.Sprintf("-- give it the type that it is to have\nALTER TABLE %s ADD COLUMN %s %s", h.table, h.q(h.plain), h.column.Type()))
	}
	// The trigger takes the backfill for a program that knows the plain column only: behind it the sealed values stay.
	return append(all, "-- behind the backfill, and before programs use the plain column only\n"+h.trigger())
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
	same := "rowid = NEW.rowid"
	if len(h.key) > 0 {
		parts := make([]string, len(h.key))
		for i, c := range h.key {
			parts[i] = fmt.Sprintf("%[1]s = NEW.%[1]s", h.q(c))
		}
		same = strings.Join(parts, " AND ")
	}
	return fmt.Sprintf("CREATE TRIGGER %s AFTER UPDATE ON %s FOR EACH ROW WHEN OLD.%s IS NOT NEW.%[3]s AND OLD.%[4]s IS NEW.%[4]s "+
		"BEGIN UPDATE %[2]s SET %[4]s = NULL WHERE %[5]s; END", name, h.table, plain, sealed, same)
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
