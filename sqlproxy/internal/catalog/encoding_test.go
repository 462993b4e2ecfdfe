package catalog_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
)

func TestNamesAreReadInOneEncoding(t *testing.T) {
	admin := connect(t, testpg.DSN(t))
	for _, server := range []string{"UTF8", "LATIN1", "SQL_ASCII", "EUC_JP"} {
		name := admin.Config().Database + "_" + server
		run(t, admin, `CREATE DATABASE "`+name+`" ENCODING '`+server+`' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`)
		t.Cleanup(func() {
			if _, err := admin.Exec(context.Background(), `DROP DATABASE "`+name+`" WITH (FORCE)`); err != nil {
				t.Error(err)
			}
		})
		config := admin.Config().Copy()
		config.Database = name
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		run(t, conn, "SET client_encoding TO UTF8")
		run(t, conn, "CREATE TABLE people (ssn bytea); CREATE VIEW größe AS SELECT ssn FROM people; "+
			"CREATE FUNCTION über() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN DELETE FROM größe; RETURN 1; END'")
		clients := []string{"UTF8", "LATIN1", "SQL_ASCII"}
		if server == "SQL_ASCII" {
			// It takes whatever bytes there are.
			run(t, conn, "SET client_encoding TO SQL_ASCII")
			run(t, conn, "CREATE FUNCTION odd() RETURNS text LANGUAGE sql AS 'SELECT ''\xff'''")
		} else if server == "EUC_JP" {
			clients = []string{"UTF8", "SJIS", "EUC_JP", "SQL_ASCII"}
		}
		for _, client := range clients {
			run(t, conn, "SET client_encoding TO "+client)
			s := load(t, conn, policyOf(t, "people"))
			for _, word := range []string{"people", "größe", "über"} {
				if !s.Sensitive(word) || s.Relation("public", "größe") == nil {
					t.Errorf("a client in %s of a server in %s does not know %s", client, server, word)
				}
			}
		}
	}
}
