package sqlproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/internal/testpg"
)

// renamed is a server at another address that has one of a server's databases under the name of another.
func renamed(t *testing.T, address, name, as string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				carryRenamed(client, address, name, as)
			}()
		}
	}()
	return ln.Addr().String()
}

func carryRenamed(client net.Conn, address, name, as string) {
	var size [4]byte
	if _, err := io.ReadFull(client, size[:]); err != nil {
		return
	}
	startup := make([]byte, binary.BigEndian.Uint32(size[:])-4)
	if _, err := io.ReadFull(client, startup); err != nil {
		return
	}
	startup = bytes.Replace(startup, []byte("\x00"+as+"\x00"), []byte("\x00"+name+"\x00"), 1)
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := server.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(startup)+4)), startup...)); err != nil {
		return
	}
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	}()
	_, _ = io.Copy(server, client)
}

func TestSessionsOfAnotherServerHaveItsCatalog(t *testing.T) {
	c, via := plain(t)
	first := connect(t, via(c.Upstream.Address))
	second := connect(t, testpg.DSN(t))
	mustRun(t, first, "CREATE TABLE people (name bytea); CREATE TABLE notes (name bytea)")
	mustRun(t, second, "CREATE TABLE people (name bytea); CREATE VIEW notes AS SELECT name FROM people")
	c.Policy, c.Cipher = people(t)
	c.Tenants = []Tenant{{Tenant: "north"}}
	s, address := start(t, c)
	old := connect(t, via(address))
	c.Upstream.Address = renamed(t, c.Upstream.Address, second.Config().Database, first.Config().Database)
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	young := connect(t, via(address))
	for range 3 { // each looks at its catalog
		mustRun(t, old, "INSERT INTO notes VALUES ('in clear')")
		mustRun(t, young, "INSERT INTO notes VALUES ('canary of a view')")
	}
	var sealed, clear int
	if err := second.QueryRow(context.Background(), "SELECT count(*), count(*) FILTER (WHERE position('canary'::bytea IN name) > 0) FROM people").Scan(&sealed, &clear); err != nil {
		t.Fatal(err)
	}
	if sealed != 3 || clear != 0 {
		t.Errorf("of %d rows %d are in clear", sealed, clear)
	}
	if err := first.QueryRow(context.Background(), "SELECT count(*) FROM notes WHERE name = 'in clear'").Scan(&clear); err != nil || clear != 3 {
		t.Errorf("the old session wrote %d rows in clear, %v", clear, err)
	}
}

func mustRun(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}
