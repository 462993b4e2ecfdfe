package relay_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// walServer gives a server whose changes can be followed, and a proxy before it.
func walServer(t *testing.T) (direct, through string) {
	t.Helper()
	direct = testpg.Start(t, map[string]string{"wal_level": "logical", "max_wal_senders": "4", "max_replication_slots": "4"}).DSN("postgres")
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), patientsDDL+"; CREATE VIEW seen AS SELECT ssn FROM patients; INSERT INTO plain VALUES (1, 'one')")
	return direct, proxy(t, direct, &relay.Config{Shared: relay.NewShared(patients(t), newCipher(t))})
}

func TestAReplicationConnectionTakesItsCommands(t *testing.T) {
	_, through := walServer(t)
	for mode, texts := range map[string]map[string]string{
		"true": {
			"IDENTIFY_SYSTEM": "", "SHOW wal_level;": "", "SELECT 1": "0A000", "INSERT INTO patients (id, ssn) VALUES (1, 'canary')": "0A000",
		},
		"database": {
			"IDENTIFY_SYSTEM": "", "SELECT id FROM plain WHERE id = 1": "", "SELECT ssn FROM patients": "",
			"COPY patients (id, ssn) TO STDOUT": "", "COPY public.plain TO STDOUT": "",
			"INSERT INTO patients (id, ssn) VALUES (1, 'canary')":         "0A000",
			"/* show */ INSERT INTO seen VALUES ('canary')":               "0A000",
			"SHOW wal_level; INSERT INTO seen VALUES ('canary')":          "0A000",
			"SELECT id FROM patients WHERE age = 42":                      "0A000",
			"SELECT 1 FROM seen WHERE ssn = 'canary'":                     "0A000",
			"SELECT 1 FROM seen WHERE ssn=$$canary$$":                     "0A000",
			"COPY patients FROM STDIN":                                    "0A000",
			"SELECT E'\x95\x5c', 'canary'; UPDATE seen SET ssn = 'x' --'": "0A000",
		},
	} {
		conn := connect(t, through+"&replication="+mode, pgx.QueryExecModeSimpleProtocol).PgConn()
		for text, want := range texts {
			if _, state := tryText(t, conn, text); state != want {
				t.Errorf("replication=%s, %s: SQLSTATE %q, not %q", mode, text, state, want)
			}
		}
		if r := conn.ExecParams(context.Background(), "SELECT $1", [][]byte{[]byte("canary")}, nil, nil, nil).Read(); stateOf(r.Err) != "08P01" {
			t.Errorf("replication=%s, extended: %v", mode, r.Err)
		}
		if _, state := tryText(t, conn, "IDENTIFY_SYSTEM"); state != "" {
			t.Errorf("replication=%s: behind refusals the SQLSTATE is %q", mode, state)
		}
	}
}

func TestAReplicationStreamGoesBothWays(t *testing.T) {
	direct, through := walServer(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn := connect(t, through+"&replication=database", pgx.QueryExecModeSimpleProtocol).PgConn()
	if _, state := tryText(t, conn, "CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL test_decoding"); state != "" {
		t.Fatal(state)
	}
	front := conn.Frontend()
	front.Send(&pgproto3.Query{String: "START_REPLICATION SLOT s LOGICAL 0/0"})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	receive := func() pgproto3.BackendMessage {
		t.Helper()
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	if m, ok := receive().(*pgproto3.CopyBothResponse); !ok {
		t.Fatalf("the stream begins with %T", m)
	}
	mustExec(t, connect(t, direct, pgx.QueryExecModeSimpleProtocol), "INSERT INTO plain VALUES (2, 'two')")
	changes, replies := 0, 0
	status := append([]byte{'r'}, make([]byte, 33)...)
	status[33] = 1 // asks for an answer
	for changes == 0 || replies < 2 {
		data, ok := receive().(*pgproto3.CopyData)
		if !ok {
			t.Fatal("the stream holds something else than data")
		}
		switch data.Data[0] {
		case 'w':
			changes++
		case 'k':
			replies++
		}
		binary.BigEndian.PutUint64(status[25:], uint64(time.Now().UnixMicro()))
		front.Send(&pgproto3.CopyData{Data: status})
		if err := front.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	front.Send(&pgproto3.CopyDone{})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, over := receive().(*pgproto3.ReadyForQuery); over {
			break
		}
	}
	if _, state := tryText(t, conn, "IDENTIFY_SYSTEM"); state != "" {
		t.Errorf("behind the stream the SQLSTATE is %q", state)
	}
}
