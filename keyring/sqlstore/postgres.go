package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgInitLock is the advisory lock of Init, "rowseal\0" in ASCII. CREATE …
// IF NOT EXISTS alone fails with a unique violation when two run at once.
const pgInitLock = 0x726f777365616c00

// Sorting by bytes ("C") makes ids ascend as List promises and indexes small
// and independent of the server's locale.
const pgTable = `CREATE TABLE IF NOT EXISTS rowseal.keys (
	id         text COLLATE "C" NOT NULL,
	tenant     text COLLATE "C" NOT NULL,
	purpose    text COLLATE "C" NOT NULL,
	version    bigint NOT NULL,
	state      text COLLATE "C" NOT NULL,
	parent     text COLLATE "C",
	commitment bytea NOT NULL,
	wraps      text COLLATE "C" NOT NULL,
	created_at bigint NOT NULL,
	changed_at bigint NOT NULL,
	changed_by text NOT NULL,
	reason     text NOT NULL,
	CONSTRAINT keys_pkey PRIMARY KEY (id),
	CONSTRAINT keys_version_key UNIQUE (tenant, purpose, version),
	CONSTRAINT keys_id_check CHECK (id ~ '^[0-9a-f]{16}$'),
	CONSTRAINT keys_tenant_check CHECK (octet_length(tenant) BETWEEN 1 AND 255),
	CONSTRAINT keys_version_check CHECK (version BETWEEN 1 AND 4294967295),
	CONSTRAINT keys_state_check CHECK (state IN ('active', 'retired', 'destroyed')),
	CONSTRAINT keys_commitment_check CHECK (octet_length(commitment) = 32),
	CONSTRAINT keys_wraps_check CHECK ((wraps = '[]') = (state = 'destroyed'))
)`

// keys_root serves List with Filter.RootWrapped: a few rows among millions
// where store keys wrap the others.
const pgIndex = `CREATE INDEX IF NOT EXISTS keys_root ON rowseal.keys (id)
	WHERE parent IS NULL AND state <> 'destroyed'`

// LATERAL … LIMIT 1 looks each key up in an index. As a plain join the planner
// may choose to read the whole table, on statistics that are old or missing
// just when a tenant's worth of keys was added.
const (
	pgParents = `
SELECT * FROM found
UNION ALL
SELECT k.* FROM (
	SELECT DISTINCT parent FROM found WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM found)
) AS want
CROSS JOIN LATERAL (SELECT ` + columns + ` FROM rowseal.keys WHERE keys.id = want.parent LIMIT 1) AS k`

	pgByID = `WITH found AS MATERIALIZED (
	SELECT k.* FROM json_array_elements_text($1::text::json) AS want(id)
	CROSS JOIN LATERAL (SELECT ` + columns + ` FROM rowseal.keys WHERE keys.id = want.id LIMIT 1) AS k
)` + pgParents

	pgLatest = `WITH found AS MATERIALIZED (
	SELECT k.* FROM json_array_elements_text($2::text::json) AS want(tenant)
	CROSS JOIN LATERAL (SELECT ` + columns + ` FROM rowseal.keys
		WHERE keys.tenant = want.tenant AND keys.purpose = $1::text
		ORDER BY (state = 'active') DESC, version DESC LIMIT 1) AS k
)` + pgParents

	pgStanding = `SELECT k.* FROM json_to_recordset($1::text::json) AS want(tenant text, purpose text, version bigint)
CROSS JOIN LATERAL (SELECT ` + columns + ` FROM rowseal.keys
	WHERE keys.tenant = want.tenant AND keys.purpose = want.purpose AND keys.version = want.version LIMIT 1) AS k`
)

// pgServer is the clock, and makes the commit of its statement wait for the
// disk where synchronous_commit = off says otherwise: a value sealed with a
// key that a crash takes back is lost. It acts on this transaction only, so
// that nothing stays behind on a pooled connection.
const pgServer = `WITH server AS MATERIALIZED (
	SELECT ` + pgMicros + ` AS micros, set_config('synchronous_commit',
		coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)
) `

const pgMicros = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// pgCreate tells listeners of tombstones: one that never was a key ends a tenant.
const pgCreate = pgServer + `, made AS (
INSERT INTO rowseal.keys (` + columns + `)
SELECT id, tenant, purpose, version, state, parent, decode(commitment, 'hex'), wraps,
	coalesce(created_at, micros), coalesce(changed_at, micros), changed_by, reason
FROM server, json_to_recordset($1::text::json) AS r(id text, tenant text, purpose text, version bigint,
	state text, parent text, commitment text, wraps text, created_at bigint, changed_at bigint, changed_by text, reason text)
ON CONFLICT DO NOTHING RETURNING id, state
) SELECT pg_notify('` + pgChannel + `', id) FROM made WHERE state = 'destroyed'`

// pgUpdate tells listeners in its own transaction, of changes of state and of tombstones
// only: a rewrap of ten thousand keys changes none that is held.
const pgUpdate = pgServer + `, changed AS (
UPDATE rowseal.keys
SET state = $4::text, parent = $5, wraps = $6, changed_by = $7, reason = $8,
	changed_at = CASE WHEN $4::text <> $2::text THEN micros ELSE changed_at END
FROM server WHERE id = $1 AND state = $2::text AND wraps = $3 RETURNING id
) SELECT CASE WHEN $4::text <> $2::text OR $4::text = 'destroyed' THEN pg_notify('` + pgChannel + `', id)::text END FROM changed`

// pgChannel is told of keys whose state changed, by their id and nothing else:
// every role that may connect can listen.
const pgChannel = "rowseal_keys"

// pgExports is the ledger of exports. Applications need no right on it.
const pgExports = `CREATE TABLE IF NOT EXISTS rowseal.key_exports (
	id        text COLLATE "C" NOT NULL,
	taken_at  bigint NOT NULL,
	taken_by  text NOT NULL,
	place     text NOT NULL,
	tenant    text COLLATE "C" NOT NULL,
	key_count bigint NOT NULL,
	digest    text COLLATE "C" NOT NULL,
	CONSTRAINT key_exports_pkey PRIMARY KEY (id)
)`

func postgres() dialect {
	return dialect{
		product:   "PostgreSQL",
		table:     "rowseal.keys",
		schema:    []string{"CREATE SCHEMA IF NOT EXISTS rowseal", pgTable, pgIndex, pgExports},
		exports:   "rowseal.key_exports",
		micros:    pgMicros,
		byID:      pgByID,
		latest:    pgLatest,
		create:    pgCreate,
		standing:  pgStanding,
		update:    pgUpdate,
		now:       "SELECT " + pgMicros,
		parameter: func(n int) string { return "$" + strconv.Itoa(n) },
		init:      initPostgres,
		watch:     watchPostgres,
		explain:   explainPostgres,
		transient: transientPostgres,
	}
}

// initPostgres creates what is missing. It asks first, because PostgreSQL
// checks the right to create before it looks whether there is anything to do,
// and applications often lack that right.
func initPostgres(ctx context.Context, db *sql.DB) error {
	var keys, exports, mayCreate bool
	err := db.QueryRowContext(ctx, `SELECT to_regclass('rowseal.keys') IS NOT NULL
		AND to_regclass('rowseal.keys_root') IS NOT NULL, to_regclass('rowseal.key_exports') IS NOT NULL,
		coalesce(has_schema_privilege(to_regnamespace('rowseal')::oid, 'CREATE'), true)`).Scan(&keys, &exports, &mayCreate)
	if err != nil || keys && (exports || !mayCreate) {
		return err // an application does without the exports, which came later
	}
	// In READ COMMITTED each statement sees what the last holder of the lock did.
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to roll back after Commit
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(pgInitLock)); err != nil {
		return err
	}
	var hasSchema bool
	if err := tx.QueryRowContext(ctx, "SELECT to_regnamespace('rowseal') IS NOT NULL").Scan(&hasSchema); err != nil {
		return err
	}
	statements := postgres().schema
	if hasSchema {
		statements = statements[1:]
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// explainPostgres says what a failure means. Of the server's error it keeps
// the message only: DETAIL may hold the whole row.
func explainPostgres(err error) (remedy string, cause error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		remedy = pgRemedy(pg.Code)
	}
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &connect):
		if remedy == "" {
			remedy = "check that the server is up, and the host, role and password of the connection string"
		}
		return remedy, err
	case pg == nil:
		return "", err
	case pg.Code == pgNoTable || pg.Code == pgNoSchema:
		return remedy, ErrNoTable
	}
	return remedy, &pgconn.PgError{
		Severity: pg.Severity, SeverityUnlocalized: pg.SeverityUnlocalized, Code: pg.Code, Message: pg.Message,
		SchemaName: pg.SchemaName, TableName: pg.TableName, ColumnName: pg.ColumnName, ConstraintName: pg.ConstraintName,
	}
}

// PostgreSQL's codes for errors.
const (
	pgNoTable         = "42P01"
	pgNoSchema        = "3F000"
	pgNoColumn        = "42703"
	pgNoRight         = "42501"
	pgReadOnly        = "25006"
	pgFull            = "53300" // no connection left
	pgNotSerializable = "40001"
	pgDeadlock        = "40P01"
)

func pgRemedy(code string) string {
	switch code {
	case pgNoTable, pgNoSchema:
		return remedyInit
	case pgNoColumn:
		return "rowseal.keys is not a table that Rowseal made; move it away and " + remedyInit
	case pgNoRight:
		return "the role needs USAGE on schema rowseal and SELECT, INSERT and UPDATE on rowseal.keys, " +
			"and for Init CREATE on the database"
	case pgReadOnly:
		return "keys are made and changed on the primary server; connect to that one"
	case pgFull:
		return "a key store holds up to " + strconv.Itoa(poolSize) + " connections; raise max_connections"
	}
	return ""
}

// transientPostgres knows the errors of REPEATABLE READ and SERIALIZABLE,
// which may be a role's default, and deadlocks.
func transientPostgres(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == pgNotSerializable || pg.Code == pgDeadlock)
}
