package pgtable

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/rowseal/rowseal/internal/guard"
)

// upkeep is what matters to jobs that rewrite rows.
type upkeep struct {
	keyed      bool  // it has a primary key
	fillfactor int   // percent of each page that inserts fill
	triggers   int64 // that fire when rows are updated
	superuser  bool  // the role that looks
}

const queryUpkeep = `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
coalesce((SELECT o.option_value::int FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'fillfactor'), 100),
(SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 16 <> 0),
(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
FROM pg_catalog.pg_class c WHERE c.oid = $1::int8::oid`

func (t *Table) readUpkeep(ctx context.Context, db *sql.Conn, oid int64) error {
	u := &t.upkeep
	return db.QueryRowContext(ctx, queryUpkeep, oid).Scan(&u.keyed, &u.fillfactor, &u.triggers, &u.superuser)
}

// upkeepNotes are no faults: the table works, and rotating it could go better.
func (t *Table) upkeepNotes() (all []Finding) {
	note := func(format string, args ...any) {
		all = append(all, Finding{About: t.Policy.Name(), What: fmt.Sprintf(format, args...)})
	}
	const roomy = 90
	switch {
	case !t.upkeep.keyed && t.Kind == 'r':
		note("it has no primary key: rotate walks it by where its rows lie, several times, and may miss rows that others update meanwhile; add one")
	case !t.upkeep.keyed:
		note("it has no primary key, and rotate refuses it; add one")
	}
	if t.Kind == 'r' && t.upkeep.fillfactor > roomy && !t.indexed() {
		note("no index is over its sealed columns, so that rows could be rewritten in place if pages had room: "+
			"%sSET (fillfactor = 50) before rows are rewritten or inserted spares index entries and about 40 %% of the time", t.alter())
	}
	if t.upkeep.triggers > 0 {
		who := "which this role is not"
		if t.upkeep.superuser {
			who = "which this role is"
		}
		note("%d of its triggers fire for rows that rotate writes; --skip-triggers keeps them from it, switches foreign keys off for these writes, and needs a superuser, %s",
			t.upkeep.triggers, who)
	}
	return all
}

// indexed says that an index is over a sealed column, or will be.
func (t *Table) indexed() bool {
	for _, c := range t.Policy.Columns() {
		if guard.Searchable(c) {
			return true
		}
		for _, i := range t.indexes {
			if i.column == c.Name() {
				return true
			}
		}
	}
	return false
}
