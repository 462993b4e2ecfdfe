package sqlproxy

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// callInt4pl sends a FunctionCall of int4pl(2, 3) and gives the result, or the SQLSTATE.
func callInt4pl(t *testing.T, conn *pgx.Conn) (result uint32, state string) {
	t.Helper()
	f := conn.PgConn().Frontend()
	f.Send(&pgproto3.FunctionCall{
		Function: 177, ArgFormatCodes: []uint16{1}, Arguments: [][]byte{{0, 0, 0, 2}, {0, 0, 0, 3}}, ResultFormatCode: 1,
	})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.FunctionCallResponse:
			result = binary.BigEndian.Uint32(m.Result)
		case *pgproto3.ErrorResponse:
			state = m.Code
		case *pgproto3.ReadyForQuery:
			return result, state
		}
	}
}

func TestFunctionCallsPassWhereTheyAreAllowed(t *testing.T) {
	c, via := plain(t)
	c.Policy, c.Cipher = people(t)
	c.Tenants = []Tenant{{Tenant: "north"}}
	for allow, want := range map[bool]string{false: "0A000", true: ""} {
		c.AllowFunctionCalls = allow
		_, address := start(t, c)
		conn := connect(t, via(address))
		if result, state := callInt4pl(t, conn); state != want || allow != (result == 5) {
			t.Errorf("allowed: %v; got %d and SQLSTATE %q", allow, result, state)
		}
		if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
			t.Errorf("the session does not go on: %v", err)
		}
	}
	c.Policy, c.Cipher, c.AllowFunctionCalls = nil, nil, false
	_, address := start(t, c)
	if result, state := callInt4pl(t, connect(t, via(address))); state != "" || result != 5 {
		t.Errorf("where nothing is sealed: %d and SQLSTATE %q", result, state)
	}
}

func TestLimitsOfSizeReachTheSession(t *testing.T) {
	c, via := plain(t)
	if _, err := connect(t, via(c.Upstream.Address)).Exec(t.Context(), "CREATE TABLE people (name bytea)"); err != nil {
		t.Fatal(err)
	}
	c.Policy, c.Cipher = people(t)
	c.Tenants, c.MaxStatement, c.MaxMessage = []Tenant{{Tenant: "north"}}, 1000, 2000
	_, address := start(t, c)
	conn := connect(t, via(address))
	insert := func(n int) string { return "INSERT INTO people VALUES ('" + strings.Repeat("x", n) + "')" }
	if _, err := conn.Exec(t.Context(), insert(900)); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), insert(1000)); stateOf(err) != "54000" {
		t.Errorf("a text that is too long gives %v", err)
	}
	const parametrised = "INSERT INTO people VALUES ($1)"
	if _, err := conn.Exec(t.Context(), parametrised, strings.Repeat("x", 1900)); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), parametrised, strings.Repeat("x", 2100)); stateOf(err) != "54000" {
		t.Errorf("a message that is too long gives %v", err)
	}
}
