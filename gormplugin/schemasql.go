package gormplugin

import (
	"database/sql"
	"fmt"
	"regexp"
	"strings"

	"gorm.io/gorm"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/internal/guard"
)

// schemaSQL is what differs between databases in a migration. Tables and
// columns come as plain names; quote writes them as the database does.
type schemaSQL interface {
	// inline returns the guard as a part of a new column's definition; "" where
	// it is added afterwards.
	inline(quote quoter, table string, g guard.Guard) string
	// present returns the guards that the column has, of whichever content.
	present(db *gorm.DB, table, column string) ([]presentGuard, error)
	// replace returns the statements that drop some guards of the column and
	// add others.
	replace(quote quoter, table, column string, drop []presentGuard, add []guard.Guard) []string
	// offending returns a query for the number of rows that a guard forbids;
	// "" where adding it finds them.
	offending(quote quoter, table, column string, g guard.Guard) string
	// created returns statements to send when the column is new.
	created(quote quoter, table, column string) []string
	// columns returns the columns of a table, none where there is no table.
	columns(db *gorm.DB, quote quoter, table string) ([]presentColumn, error)
	// holds says whether a column of the type that the database names can hold
	// the values of t; if all is false, whether values of it can be read and
	// compared as those of t.
	holds(have string, t codec.Type, all bool) bool
	// relax returns what makes a column nullable and takes its default away;
	// "" where the database cannot.
	relax(quote quoter, table string, c presentColumn) string
	// term returns what an index holds of a searchable column, and a part of
	// it that the database's own account of the index has.
	term(quoted string) string
	termMark() string
	// indexes returns the indexes of a table.
	indexes(db *gorm.DB, quote quoter, table string) ([]presentIndex, error)
}

type quoter func(name string) string

// presentGuard is a guard that a database has.
type presentGuard struct {
	Name string
	// Fixed: it stands in the definition of the table, which the database
	// cannot change.
	Fixed bool
}

// presentColumn is a column that a database has. Default is the expression of
// its default, or of what it is generated from.
type presentColumn struct {
	Name     string
	Type     string
	Nullable bool
	Default  sql.NullString
	Collate  string // of texts, in MySQL
}

// presentIndex is an index that a database has, and its account of it.
type presentIndex struct {
	Name string
	Def  string
}

// schemaSQLOf returns the part for a dialector's name; nil for a database that
// migrations of sealed columns are not known for.
func schemaSQLOf(dialector string) schemaSQL {
	switch dialector {
	case "postgres":
		return postgresSQL{guard.PostgreSQL}
	case "sqlite":
		return sqliteSQL{guard.SQLite}
	case "mysql":
		return mysqlSQL{guard.MySQL}
	}
	return nil
}

type postgresSQL struct{ guard.Dialect }

func (s postgresSQL) inline(quote quoter, table string, g guard.Guard) string {
	return fmt.Sprintf(" CONSTRAINT %s CHECK (%s)", quote(g.Name(table)), s.Condition(g, quote(g.Column.Name())))
}

func (postgresSQL) present(db *gorm.DB, table, column string) (found []presentGuard, err error) {
	err = db.Raw(`SELECT c.conname AS name FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)
		WHERE c.conrelid = to_regclass(?) AND c.contype = 'c' AND a.attname = ? AND c.conname LIKE ? ORDER BY 1`,
		quoterOf(db)(table), column, likeOurs).Scan(&found).Error
	return found, err
}

func (s postgresSQL) replace(quote quoter, table, column string, drop []presentGuard, add []guard.Guard) []string {
	return alterTable(s.Dialect, quote, table, column, drop, add)
}

func (postgresSQL) offending(quoter, string, string, guard.Guard) string { return "" }

// created: sealed bytes do not compress, and out of line they leave the row
// short; EXTERNAL spares the attempt.
func (postgresSQL) created(quote quoter, table, column string) []string {
	return []string{fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET STORAGE EXTERNAL", quote(table), quote(column))}
}

func (postgresSQL) columns(db *gorm.DB, quote quoter, table string) (found []presentColumn, err error) {
	err = db.Raw(`SELECT a.attname AS name, NOT (a.attnotnull OR t.typnotnull) AS nullable,
			CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END AS type,
			coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) AS default
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped`, quote(table)).Scan(&found).Error
	return found, err
}

func (postgresSQL) term(quoted string) string { return termOf(quoted) }
func (postgresSQL) termMark() string          { return substrMark }

func (postgresSQL) indexes(db *gorm.DB, quote quoter, table string) (found []presentIndex, err error) {
	err = db.Raw(`SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS def FROM pg_index i
		JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass(?)`, quote(table)).Scan(&found).Error
	return found, err
}

// sqliteSQL writes the guard of a new column into its definition, and others
// as triggers: SQLite cannot add a constraint to a table, and a copy of the
// table would lose what belongs to the old one.
type sqliteSQL struct{ guard.Dialect }

// check is the condition. SQLite's columns take any type; only blobs pass.
func (s sqliteSQL) check(g guard.Guard, column string) string {
	return s.Condition(g, column) + fmt.Sprintf(" AND typeof(%s) IN ('blob', 'null')", column)
}

// inline leaves the guard on terms to a trigger, which can be dropped.
func (s sqliteSQL) inline(quote quoter, table string, g guard.Guard) string {
	if g.Kind != guard.KindValue {
		return ""
	}
	return fmt.Sprintf(" CONSTRAINT %s CHECK (%s)", quote(g.Name(table)), s.check(g, quote(g.Column.Name())))
}

func (sqliteSQL) present(db *gorm.DB, table, column string) (found []presentGuard, err error) {
	var made []struct{ Type, Name, SQL string }
	err = db.Raw("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('table', 'trigger')", table).Scan(&made).Error
	if err != nil {
		return nil, err
	}
	on := `\(length\((?:NEW\.)?["` + "`" + `]?` + regexp.QuoteMeta(column) + `["` + "`" + `]?\) >= `
	check := regexp.MustCompile(`(?i)CONSTRAINT ["` + "`]?(" + guard.Ours + `\w+)["` + "`]? CHECK " + on)
	trigger := regexp.MustCompile(`(?i) WHEN NOT ` + on)
	for _, m := range made {
		if m.Type == "trigger" && strings.HasPrefix(m.Name, guard.Ours) && strings.HasSuffix(m.Name, onInsert) && trigger.MatchString(m.SQL) {
			found = append(found, presentGuard{Name: strings.TrimSuffix(m.Name, onInsert)})
		}
		for _, in := range check.FindAllStringSubmatch(m.SQL, -1) {
			found = append(found, presentGuard{Name: in[1], Fixed: true})
		}
	}
	return found, nil
}

// onInsert and onUpdate end the names of the two triggers of a guard.
const (
	onInsert = "_insert"
	onUpdate = "_update"
)

func (s sqliteSQL) replace(quote quoter, table, column string, drop []presentGuard, add []guard.Guard) (out []string) {
	for _, g := range drop {
		out = append(out, "DROP TRIGGER "+quote(g.Name+onInsert), "DROP TRIGGER "+quote(g.Name+onUpdate))
	}
	for _, g := range add {
		name, check := g.Name(table), s.check(g, "NEW."+quote(column))
		for _, event := range [][2]string{{onInsert, "INSERT"}, {onUpdate, "UPDATE OF " + quote(column)}} {
			out = append(out, fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s WHEN NOT (%s) BEGIN SELECT RAISE(ABORT, 'CHECK constraint failed: %s'); END",
				quote(name+event[0]), event[1], quote(table), check, name))
		}
	}
	return out
}

func (s sqliteSQL) offending(quote quoter, table, column string, g guard.Guard) string {
	return fmt.Sprintf("SELECT count(*) FROM %s WHERE NOT (%s)", quote(table), s.check(g, quote(column)))
}

func (sqliteSQL) columns(db *gorm.DB, _ quoter, table string) (found []presentColumn, err error) {
	err = db.Raw(`SELECT name, type, NOT "notnull" AS nullable, dflt_value AS "default" FROM pragma_table_info(?)`, table).Scan(&found).Error
	return found, err
}

func (sqliteSQL) created(quoter, string, string) []string { return nil }
func (sqliteSQL) term(quoted string) string               { return termOf(quoted) }
func (sqliteSQL) termMark() string                        { return substrMark }

func (sqliteSQL) indexes(db *gorm.DB, _ quoter, table string) (found []presentIndex, err error) {
	err = db.Raw("SELECT name, sql AS def FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL", table).Scan(&found).Error
	return found, err
}

// mysqlSQL is for MySQL from 8.0.19 on and MariaDB, which has no indexes over
// expressions: a prefix index over header and term finds the same rows.
type mysqlSQL struct{ guard.Dialect }

func (mysqlSQL) inline(quoter, string, guard.Guard) string { return "" }

func (mysqlSQL) present(db *gorm.DB, table, column string) (found []presentGuard, err error) {
	err = db.Raw(`SELECT DISTINCT c.constraint_name AS name FROM information_schema.check_constraints c
		JOIN information_schema.table_constraints t ON t.constraint_schema = c.constraint_schema AND t.constraint_name = c.constraint_name
		WHERE t.table_schema = DATABASE() AND t.table_name = ? AND LEFT(c.constraint_name, ?) = ?
			AND (LOCATE(?, c.check_clause) > 0 OR LOCATE(?, c.check_clause) > 0)`, // quoted as sql_mode has it
		table, len(guard.Ours), guard.Ours, "`"+column+"`", `"`+column+`"`).Scan(&found).Error
	return found, err
}

func (s mysqlSQL) replace(quote quoter, table, column string, drop []presentGuard, add []guard.Guard) []string {
	return alterTable(s.Dialect, quote, table, column, drop, add)
}

func (mysqlSQL) columns(db *gorm.DB, _ quoter, table string) (found []presentColumn, err error) {
	err = db.Raw("SELECT column_name AS name, column_type AS type, is_nullable = 'YES' AS nullable, "+
		"coalesce(nullif(generation_expression, ''), column_default) AS `default`, coalesce(collation_name, '') AS `collate` "+
		"FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?", table).Scan(&found).Error
	return found, err
}

func (mysqlSQL) offending(quoter, string, string, guard.Guard) string { return "" }
func (mysqlSQL) created(quoter, string, string) []string              { return nil }
func (mysqlSQL) term(quoted string) string                            { return quoted + "(24)" }
func (mysqlSQL) termMark() string                                     { return "(24)" }

func (mysqlSQL) indexes(db *gorm.DB, _ quoter, table string) (found []presentIndex, err error) {
	err = db.Raw(`SELECT index_name AS name, group_concat(column_name, '(', coalesce(sub_part, ''), ')' ORDER BY seq_in_index) AS def
		FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? GROUP BY index_name`, table).Scan(&found).Error
	return found, err
}

// substrMark is the end of termOf, which does not depend on how the
// column's name is quoted.
const substrMark = ", 9, 16)"

// likeOurs finds names that begin with guard.Ours.
const likeOurs = `rowseal\_%`

// alterTable drops and adds constraints in one statement, so that no moment is
// without.
func alterTable(b guard.Dialect, quote quoter, table, column string, drop []presentGuard, add []guard.Guard) []string {
	var parts []string
	for _, g := range drop {
		parts = append(parts, "DROP CONSTRAINT "+quote(g.Name))
	}
	for _, g := range add {
		parts = append(parts, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s)", quote(g.Name(table)), b.Condition(g, quote(column))))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"ALTER TABLE " + quote(table) + " " + strings.Join(parts, ", ")}
}

// quoterOf returns how db writes names.
func quoterOf(db *gorm.DB) quoter {
	stmt := &gorm.Statement{DB: db}
	return func(name string) string { return stmt.Quote(name) }
}
