package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	_ "github.com/glebarez/go-sqlite" // registers the driver "sqlite"
)

// liteTable is STRICT, so that a column holds its type and nothing else.
const liteTable = `CREATE TABLE IF NOT EXISTS rowseal_keys (
	id         TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 16 AND id NOT GLOB '*[^0-9a-f]*'),
	tenant     TEXT NOT NULL CHECK (length(CAST(tenant AS BLOB)) BETWEEN 1 AND 255),
	purpose    TEXT NOT NULL,
	version    INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
	state      TEXT NOT NULL CHECK (state IN ('active', 'retired', 'destroyed')),
	parent     TEXT,
	commitment BLOB NOT NULL CHECK (length(commitment) = 32),
	wraps      TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	changed_at INTEGER NOT NULL,
	changed_by TEXT NOT NULL,
	reason     TEXT NOT NULL,
	UNIQUE (tenant, purpose, version),
	CHECK ((wraps = '[]') = (state = 'destroyed'))
) STRICT`

const liteExports = `CREATE TABLE IF NOT EXISTS rowseal_key_exports (
	id        TEXT NOT NULL PRIMARY KEY,
	taken_at  INTEGER NOT NULL,
	taken_by  TEXT NOT NULL,
	place     TEXT NOT NULL,
	tenant    TEXT NOT NULL,
	key_count INTEGER NOT NULL,
	digest    TEXT NOT NULL
) STRICT`

const liteIndex = `CREATE INDEX IF NOT EXISTS rowseal_keys_root ON rowseal_keys (id)
	WHERE parent IS NULL AND state <> 'destroyed'`

// CROSS JOIN keeps SQLite from turning the loops round.
const (
	liteParents = `
SELECT * FROM found
UNION ALL
SELECT ` + columns + ` FROM rowseal_keys WHERE id IN (
	SELECT parent FROM found WHERE parent IS NOT NULL EXCEPT SELECT id FROM found)`

	liteByID = `WITH found AS MATERIALIZED (
	SELECT ` + columns + ` FROM (SELECT value AS want FROM json_each(?1))
	CROSS JOIN rowseal_keys ON id = want
)` + liteParents

	liteLatest = `WITH found AS MATERIALIZED (
	SELECT ` + columns + ` FROM (SELECT value AS want FROM json_each(?2))
	CROSS JOIN rowseal_keys ON id = (
		SELECT c.id FROM rowseal_keys AS c WHERE c.tenant = want AND c.purpose = ?1
		ORDER BY c.state = 'active' DESC, c.version DESC LIMIT 1)
)` + liteParents

	liteStanding = `SELECT ` + columns + ` FROM (SELECT value AS want FROM json_each(?1))
CROSS JOIN rowseal_keys ON tenant = want ->> 'tenant' AND purpose = want ->> 'purpose' AND version = want ->> 'version'`
)

// SQLite's clock has milliseconds.
const liteMicros = `CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000`

// WHERE true tells ON CONFLICT from a join's ON.
const liteCreate = `INSERT INTO rowseal_keys (` + columns + `)
SELECT r ->> 'id', r ->> 'tenant', r ->> 'purpose', r ->> 'version', r ->> 'state', r ->> 'parent',
	unhex(r ->> 'commitment'), r ->> 'wraps', coalesce(r ->> 'created_at', ` + liteMicros + `),
	coalesce(r ->> 'changed_at', ` + liteMicros + `), r ->> 'changed_by', r ->> 'reason'
FROM (SELECT value AS r FROM json_each(?1)) WHERE true
ON CONFLICT DO NOTHING`

const liteUpdate = `UPDATE rowseal_keys
SET state = ?4, parent = ?5, wraps = ?6, changed_by = ?7, reason = ?8,
	changed_at = CASE WHEN ?4 <> ?2 THEN ` + liteMicros + ` ELSE changed_at END
WHERE id = ?1 AND state = ?2 AND wraps = ?3 RETURNING id`

func sqlite() dialect {
	return dialect{
		product:   "SQLite",
		table:     "rowseal_keys",
		schema:    []string{liteTable, liteIndex, liteExports},
		exports:   "rowseal_key_exports",
		micros:    liteMicros,
		byID:      liteByID,
		latest:    liteLatest,
		create:    liteCreate,
		standing:  liteStanding,
		update:    liteUpdate,
		now:       "SELECT " + liteMicros,
		parameter: func(n int) string { return "?" + strconv.Itoa(n) },
		init:      initSQLite,
		explain:   explainSQLite,
		oneWriter: true,
		transient: func(error) bool { return false }, // busy_timeout has waited already
	}
}

// initSQLite runs each statement by itself: each is atomic and does nothing
// when run again.
func initSQLite(ctx context.Context, db *sql.DB) error {
	for _, statement := range sqlite().schema {
		err := whileBusy(ctx, func() error {
			_, err := db.ExecContext(ctx, statement)
			return err
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err() // the driver skips a statement, without an error, when ctx ends as it begins
}

// SQLite's primary result codes.
const (
	liteError    = 1
	liteBusy     = 5
	liteLocked   = 6
	liteReadOnly = 8
	liteCorrupt  = 11
	liteFull     = 13
	liteCantOpen = 14
	liteNotADB   = 26
)

func liteCode(err error) int {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return 0
	}
	return coded.Code() & 0xff
}

func explainSQLite(err error) (remedy string, cause error) {
	switch liteCode(err) {
	case liteError:
		if strings.Contains(err.Error(), "no such table") {
			return remedyInit, ErrNoTable
		}
		if strings.Contains(err.Error(), "no such column") {
			return "rowseal_keys is not a table that Rowseal made; move it away and " + remedyInit, err
		}
	case liteBusy, liteLocked:
		return "another program holds the file; give the key store a file of its own", err
	case liteReadOnly, liteCantOpen:
		return "the file and its directory must be writable by this process", err
	case liteCorrupt, liteNotADB:
		return "restore the file from a backup", err
	case liteFull:
		return "make room on the disk", err
	}
	return "", err
}
