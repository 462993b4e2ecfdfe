package rotate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// journalDialect is how a database keeps the journal.
type journalDialect struct {
	tables  map[string]string // names, by what statements call them
	micros  string            // now, in microseconds since 1970
	schema  []string
	sum     string // the type that sums are cast to
	add     string // end of the INSERT that adds to a tally
	dollars bool   // parameters are $1, $2 …
	found   string // finds how many of the tables are there
	lock    string // in the transaction that makes them; "" for none
	grant   string // what an account needs
}

// journalSchema are the tables; the words in braces are the dialects'. `open` is the job's name while it
// is not over, so that there is one such job at most.
var journalSchema = []string{
	`CREATE TABLE IF NOT EXISTS {jobs} (
	id         {serial},
	open       {name} UNIQUE,
	kind       {name} NOT NULL,
	tbl        {text} NOT NULL,
	spec       {text} NOT NULL,
	state      {name} NOT NULL,
	orders     {text} NOT NULL,
	total      bigint NOT NULL,
	owner      {text} NOT NULL,
	started_at bigint NOT NULL,
	ended_at   bigint NOT NULL
)`,
	`CREATE TABLE IF NOT EXISTS {ranges} (
	job      bigint NOT NULL,
	no       bigint NOT NULL,
	lo       {bytes},
	hi       {bytes},
	pos      {bytes},
	fence    bigint NOT NULL,
	owner    {text} NOT NULL,
	held     {text} NOT NULL,
	until_at bigint NOT NULL,
	done     bigint NOT NULL,
	PRIMARY KEY (job, no)
)`,
	`CREATE TABLE IF NOT EXISTS {tallies} (
	job  bigint NOT NULL,
	no   bigint NOT NULL,
	name {name} NOT NULL,
	n    bigint NOT NULL,
	PRIMARY KEY (job, no, name)
)`,
	`CREATE TABLE IF NOT EXISTS {findings} (
	id     {serial},
	job    bigint NOT NULL,
	kind   {name} NOT NULL,
	tbl    {text} NOT NULL,
	col    {text} NOT NULL,
	at_row {text} NOT NULL,
	detail {text} NOT NULL{findings key}
)`,
}

func (d *journalDialect) words(more ...string) *strings.Replacer {
	pairs := append([]string{"{now}", d.micros, "{sum}", d.sum}, more...)
	for word, name := range d.tables {
		pairs = append(pairs, "{"+word+"}", name)
	}
	return strings.NewReplacer(pairs...)
}

func journalTables(prefix string) map[string]string {
	return map[string]string{
		"jobs": prefix + "jobs", "ranges": prefix + "job_ranges", "tallies": prefix + "job_tallies", "findings": prefix + "job_findings",
	}
}

func (d *journalDialect) build(types ...string) {
	words := d.words(types...)
	for _, s := range journalSchema {
		d.schema = append(d.schema, words.Replace(s))
	}
}

// postgresJournal leaves room in the pages of those tables whose rows are updated all the time: so updates need
// no new index entries.
func postgresJournal() journalDialect {
	d := journalDialect{
		tables:  journalTables("rowseal."),
		micros:  "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
		sum:     "bigint",
		add:     " ON CONFLICT (job, no, name) DO UPDATE SET n = {tallies}.n + excluded.n",
		dollars: true,
		found: `SELECT count(*) FROM (VALUES ('jobs'), ('job_ranges'), ('job_tallies'), ('job_findings')) AS v(name)
			WHERE to_regclass('rowseal.' || name) IS NOT NULL`,
		lock:  "SELECT pg_advisory_xact_lock(8243125061337718)",
		grant: "GRANT USAGE ON SCHEMA rowseal and SELECT, INSERT, UPDATE ON rowseal.jobs, rowseal.job_ranges, rowseal.job_tallies, rowseal.job_findings",
	}
	d.schema = []string{"CREATE SCHEMA IF NOT EXISTS rowseal"}
	d.build("{serial}", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{name}", "text", "{text}", "text", "{bytes}", "bytea", "{findings key}", "")
	for i := range d.schema {
		if strings.Contains(d.schema[i], "job_ranges") || strings.Contains(d.schema[i], "job_tallies") {
			d.schema[i] += " WITH (fillfactor = 20)"
		}
	}
	d.schema = append(d.schema, "CREATE INDEX IF NOT EXISTS job_findings_job ON rowseal.job_findings (job)")
	return d
}

func sqliteJournal() journalDialect {
	d := journalDialect{
		tables: journalTables("rowseal_"),
		micros: "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000",
		sum:    "integer",
		add:    " ON CONFLICT (job, no, name) DO UPDATE SET n = {tallies}.n + excluded.n",
		found: `SELECT count(*) FROM sqlite_master WHERE type = 'table'
			AND name IN ('rowseal_jobs', 'rowseal_job_ranges', 'rowseal_job_tallies', 'rowseal_job_findings')`,
		grant: "a file that can be written",
	}
	d.build("{serial}", "integer PRIMARY KEY AUTOINCREMENT", "{name}", "text", "{text}", "text", "{bytes}", "blob", "{findings key}", "")
	d.schema = append(d.schema, "CREATE INDEX IF NOT EXISTS rowseal_job_findings_job ON rowseal_job_findings (job)")
	return d
}

func mysqlJournal() journalDialect {
	d := journalDialect{
		tables: journalTables("rowseal_"),
		micros: "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
		sum:    "signed",
		add:    " ON DUPLICATE KEY UPDATE n = n + VALUES(n)",
		found: `SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE()
			AND table_name IN ('rowseal_jobs', 'rowseal_job_ranges', 'rowseal_job_tallies', 'rowseal_job_findings')`,
		grant: "GRANT SELECT, INSERT, UPDATE on rowseal_jobs, rowseal_job_ranges, rowseal_job_tallies and rowseal_job_findings",
	}
	d.build("{serial}", "bigint NOT NULL AUTO_INCREMENT PRIMARY KEY", "{name}", "varchar(191)", "{text}", "mediumtext", "{bytes}", "mediumblob", "{findings key}", ",\n\tKEY job_findings_job (job)")
	for i := range d.schema {
		d.schema[i] += " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC"
	}
	return d
}

func newJournal(dialect Dialect, db *sql.DB) (*sqlJournal, error) {
	j := &sqlJournal{db: db}
	switch dialect {
	case PostgreSQL:
		j.journalDialect = postgresJournal()
	case SQLite:
		j.journalDialect = sqliteJournal()
	case MySQL:
		j.journalDialect = mysqlJournal()
	default:
		return nil, fmt.Errorf("rotate: %v; use PostgreSQL, SQLite or MySQL", dialect)
	}
	j.replace = j.words()
	return j, nil
}

// installed asks first, because servers check the right to create before they look whether there is
// anything to do.
func (j *sqlJournal) installed(ctx context.Context) (bool, error) {
	var n int
	err := j.db.QueryRowContext(ctx, j.found).Scan(&n)
	return n == len(journalSchema), j.explain(err)
}

func (j *sqlJournal) install(ctx context.Context) error {
	ok, err := j.installed(ctx)
	if ok || err != nil {
		return err
	}
	if j.lock == "" { // the databases without one create tables one by one
		for _, s := range j.schema {
			if _, err := j.db.ExecContext(ctx, s); err != nil {
				return j.cannotInstall(err)
			}
		}
		return nil
	}
	tx, err := j.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, s := range append([]string{j.lock}, j.schema...) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return j.cannotInstall(errors.Join(err, ignoreDone(tx.Rollback())))
		}
	}
	return tx.Commit()
}

func (j *sqlJournal) cannotInstall(err error) error {
	return fmt.Errorf("%w: creating %s: %w; let an owner run rowseal init, then give the account %s", ErrNoJournal, j.tables["jobs"], err, j.grant)
}

// ignoreDone is nil where the driver has ended the transaction already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
