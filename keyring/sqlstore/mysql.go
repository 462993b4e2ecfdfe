package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// myTable compares bytes. Tenants are binary, because every collation that
// MySQL and MariaDB share takes 'a' and 'a ' for equal. The index keys_root
// serves List with Filter.RootWrapped, as there are no partial indexes.
const myTable = `CREATE TABLE IF NOT EXISTS rowseal_keys (
	id         varchar(64) NOT NULL,
	tenant     varbinary(255) NOT NULL,
	purpose    varchar(64) NOT NULL,
	version    bigint NOT NULL,
	state      varchar(64) NOT NULL,
	parent     varchar(64),
	commitment varbinary(64) NOT NULL,
	wraps      mediumtext NOT NULL,
	created_at bigint NOT NULL,
	changed_at bigint NOT NULL,
	changed_by varchar(1024) NOT NULL,
	reason     varchar(1024) NOT NULL,
	PRIMARY KEY (id),
	UNIQUE KEY keys_version_key (tenant, purpose, version),
	KEY keys_root (parent, id),
	CONSTRAINT keys_id_check CHECK (octet_length(id) = 16 AND id REGEXP '^[0-9a-f]+$'),
	CONSTRAINT keys_tenant_check CHECK (octet_length(tenant) BETWEEN 1 AND 255),
	CONSTRAINT keys_version_check CHECK (version BETWEEN 1 AND 4294967295),
	CONSTRAINT keys_state_check CHECK (state IN ('active', 'retired', 'destroyed')),
	CONSTRAINT keys_commitment_check CHECK (octet_length(commitment) = 32),
	CONSTRAINT keys_wraps_check CHECK ((wraps = '[]') = (state = 'destroyed'))
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC`

const myExports = `CREATE TABLE IF NOT EXISTS rowseal_key_exports (
	id        varchar(64) NOT NULL,
	taken_at  bigint NOT NULL,
	taken_by  varchar(1024) NOT NULL,
	place     varchar(1024) NOT NULL,
	tenant    varbinary(255) NOT NULL,
	key_count bigint NOT NULL,
	digest    varchar(64) NOT NULL,
	PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC`

// myJSON is a parameter's bytes as JSON, whatever character set the connection
// says that they are in.
const myJSON = `CONVERT(CAST(? AS BINARY) USING utf8mb4)`

const (
	myText   = ` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH `
	myPlaces = `JSON_TABLE(` + myJSON + `, '$[*]' COLUMNS (
	tenant varchar(255)` + myText + `'$.tenant', purpose varchar(64)` + myText + `'$.purpose', version bigint PATH '$.version')) AS want`

	// UNION drops ids that are there twice; the joins' order is given, because
	// the table must be looked up and not read.
	myFound = `SELECT ` + myColumns + ` FROM (
	SELECT id FROM want UNION
	SELECT c.parent FROM want STRAIGHT_JOIN rowseal_keys AS c ON c.id = want.id WHERE c.parent IS NOT NULL
) AS ids STRAIGHT_JOIN rowseal_keys AS k ON k.id = ids.id`

	myByID = `WITH want AS (
	SELECT w.id FROM JSON_TABLE(` + myJSON + `, '$[*]' COLUMNS (id varchar(64)` + myText + `'$')) AS w
) ` + myFound

	myLatest = `WITH want AS (
	SELECT (SELECT c.id FROM rowseal_keys AS c WHERE c.tenant = CAST(w.tenant AS BINARY) AND c.purpose = ?
		ORDER BY c.state = 'active' DESC, c.version DESC LIMIT 1) AS id
	FROM JSON_TABLE(` + myJSON + `, '$[*]' COLUMNS (tenant varchar(255)` + myText + `'$')) AS w
) ` + myFound

	myStanding = `SELECT ` + myColumns + ` FROM ` + myPlaces + ` STRAIGHT_JOIN rowseal_keys AS k
ON k.tenant = CAST(want.tenant AS BINARY) AND k.purpose = want.purpose AND k.version = want.version`
)

const myColumns = "k.id, k.tenant, k.purpose, k.version, k.state, k.parent, k.commitment, k.wraps, " +
	"k.created_at, k.changed_at, k.changed_by, k.reason"

// Time zones play no part in this.
const myMicros = `TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))`

// myCreate changes nothing in a row that stands. INSERT IGNORE would store what
// breaks a check.
const myCreate = `INSERT INTO rowseal_keys (` + columns + `)
SELECT r.id, CAST(r.tenant AS BINARY), r.purpose, r.version, r.state, r.parent, UNHEX(r.commitment), r.wraps,
	coalesce(r.created_at, ` + myMicros + `), coalesce(r.changed_at, ` + myMicros + `), r.changed_by, r.reason
FROM JSON_TABLE(` + myJSON + `, '$[*]' COLUMNS (
	id varchar(64)` + myText + `'$.id', tenant varchar(255)` + myText + `'$.tenant', purpose varchar(64)` + myText + `'$.purpose',
	version bigint PATH '$.version', state varchar(64)` + myText + `'$.state', parent varchar(64)` + myText + `'$.parent',
	commitment varchar(64)` + myText + `'$.commitment', wraps mediumtext` + myText + `'$.wraps',
	created_at bigint PATH '$.created_at', changed_at bigint PATH '$.changed_at',
	changed_by varchar(1024)` + myText + `'$.changed_by', reason varchar(1024)` + myText + `'$.reason')) AS r
ON DUPLICATE KEY UPDATE id = rowseal_keys.id`

// myUpdate sets changed_at first, while state is still the old one. Where state stays,
// what is written may be what stood there, and only some connections count such a row as
// affected: changeMySQL looks then.
const myUpdate = `UPDATE rowseal_keys SET changed_at = IF(state = ?, changed_at, ` + myMicros + `),
	state = ?, parent = ?, wraps = ?, changed_by = ?, reason = ?
WHERE id = ? AND state = ? AND wraps = ?`

func mySQL() dialect {
	return dialect{
		product:   "MySQL",
		table:     "rowseal_keys",
		schema:    []string{myTable, myExports},
		exports:   "rowseal_key_exports",
		micros:    myMicros,
		byID:      myByID,
		latest:    myLatest,
		create:    myCreate,
		standing:  myStanding,
		update:    myUpdate,
		now:       "SELECT " + myMicros,
		parameter: func(int) string { return "?" },
		init:      initMySQL,
		require:   requireMySQL,
		change:    changeMySQL,
		explain:   explainMySQL,
		transient: transientMySQL,
	}
}

// changeMySQL runs myUpdate with the arguments in the order of dialect.update.
func changeMySQL(ctx context.Context, db *sql.DB, args ...any) (bool, error) {
	result, err := db.ExecContext(ctx, myUpdate, slices.Concat(args[3:4], args[3:], args[:3])...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	if err != nil || n > 0 || args[1] != args[3] || args[2] != args[5] {
		return n > 0, err
	}
	// State and wraps were to stay: where they stand, all stands that was to be written.
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM rowseal_keys WHERE id = ? AND state = ? AND wraps = ?", args[:3]...).Scan(&n)
	return n > 0, err
}

// initMySQL asks first, because the server checks the right to create before
// it looks whether there is anything to do.
func initMySQL(ctx context.Context, db *sql.DB) error {
	var keys, exports int
	err := db.QueryRowContext(ctx, `SELECT coalesce(sum(table_name = 'rowseal_keys'), 0), coalesce(sum(table_name = 'rowseal_key_exports'), 0)
		FROM information_schema.tables WHERE table_schema = DATABASE()`).Scan(&keys, &exports)
	if err == nil && keys == 0 {
		_, err = db.ExecContext(ctx, myTable)
	}
	if err != nil || exports > 0 {
		return err
	}
	_, err = db.ExecContext(ctx, myExports)
	var denied *mysql.MySQLError
	if keys > 0 && errors.As(err, &denied) && (denied.Number == myNoRight || denied.Number == myNoDatabase) {
		return nil // an application does without the exports, which came later
	}
	return err
}

// errUnfit is a server or connection on which keys could be lost.
type errUnfit struct{ what, remedy string }

func (e *errUnfit) Error() string { return e.what }

// requireMySQL refuses a table that forgets, and connections whose writes are
// never committed or are cut to fit.
func requireMySQL(ctx context.Context, db *sql.DB) error {
	var engine sql.NullString
	var autocommit, strict, utf8 bool
	err := db.QueryRowContext(ctx, `SELECT @@autocommit, @@sql_mode REGEXP 'STRICT_',
		@@character_set_client = 'utf8mb4' AND @@character_set_connection = 'utf8mb4', (
		SELECT max(engine) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'rowseal_keys')`).
		Scan(&autocommit, &strict, &utf8, &engine)
	switch {
	case err != nil:
		return err
	case engine.Valid && engine.String != "InnoDB":
		return &errUnfit{"the table's engine is " + engine.String, "run ALTER TABLE rowseal_keys ENGINE=InnoDB"}
	case !autocommit:
		return &errUnfit{"the connection does not commit by itself", "connect with autocommit=1"}
	case !utf8:
		return &errUnfit{"the connection's character set is not utf8mb4", "connect with charset=utf8mb4, which is the driver's default"}
	case !strict:
		return &errUnfit{"the connection's sql_mode is not strict", "connect with sql_mode='STRICT_ALL_TABLES'"}
	}
	return nil
}

// MySQL's and MariaDB's codes for errors.
const (
	myFull        = 1040 // no connection left
	myNoDatabase  = 1044
	myNoLogin     = 1045
	myUnknown     = 1049 // database
	myNoColumn    = 1054
	myNoRight     = 1142
	myNoTable     = 1146
	myUserFull    = 1203
	myLockWait    = 1205
	myDeadlock    = 1213
	myReadOnly    = 1290
	myReadOnlyTx  = 1792
	myReadOnlyDB  = 1836
	myCheckMaria  = 4025
	myCheckMySQL  = 3819
	myChangedSet  = 1020 // "record has changed since last read"
	myNoDatabases = 1046 // none chosen
)

// explainMySQL says what a failure means. The server's messages quote values
// and pieces of statements, but those that are kept here.
func explainMySQL(err error) (remedy string, cause error) {
	var unfit *errUnfit
	if errors.As(err, &unfit) {
		return unfit.remedy, err
	}
	if errors.Is(err, mysql.ErrNativePassword) {
		return "the program runs under fips140=only, which forbids SHA-1; use an account with caching_sha2_password over TLS, " +
			"or one without a password, by socket or client certificate", err
	}
	var failure *mysql.MySQLError
	if !errors.As(err, &failure) {
		return "", err
	}
	switch failure.Number {
	case myNoTable:
		return remedyInit, ErrNoTable
	case myNoColumn:
		return "rowseal_keys is not a table that Rowseal made; move it away and " + remedyInit, failure
	case myNoRight, myNoDatabase:
		return "the account needs SELECT, INSERT and UPDATE on rowseal_keys, and for Init CREATE on the database", failure
	case myNoLogin, myUnknown, myNoDatabases:
		return "check the account, password and database of the connection string", failure
	case myReadOnly, myReadOnlyTx, myReadOnlyDB:
		return "keys are made and changed on the primary server; connect to that one", failure
	case myFull, myUserFull:
		return "a key store holds up to " + strconv.Itoa(poolSize) + " connections; raise max_connections", failure
	case myLockWait, myDeadlock, myCheckMaria, myCheckMySQL, myChangedSet:
		return "", failure
	}
	return "", &mysql.MySQLError{
		Number: failure.Number, SQLState: failure.SQLState, Message: fmt.Sprintf("see error %d in the server's manual", failure.Number),
	}
}

// transientMySQL knows deadlocks, locks that were waited for in vain, and the
// conflicts of MariaDB's snapshot isolation.
func transientMySQL(err error) bool {
	var failure *mysql.MySQLError
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Number {
	case myDeadlock, myLockWait, myChangedSet:
		return true
	}
	return false
}
