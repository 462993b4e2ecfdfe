package relay_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// deaf is a root key whose service does not answer.
type deaf struct{ kms.KMS }

var errDeaf = errors.New("the service is out")

func (deaf) Wrap(context.Context, []byte, kms.Binding) (kms.Wrapped, error) {
	return kms.Wrapped{}, errDeaf
}

func TestTheOperatorFindsTheCauseInTheLog(t *testing.T) {
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{deaf{localkms.Memory()}}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	var log lines
	var stats relay.Stats
	_, through := sealed(t, &relay.Config{
		Shared: relay.NewShared(patients(t), cipher), Stats: &stats, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		conn := connect(t, through, mode)
		_, err := conn.Exec(t.Context(), "INSERT INTO patients (id, ssn) VALUES ($1, $2)", i, "canary-1")
		wantState(t, err, "57P03")
		if strings.Contains(err.Error(), "out") {
			t.Errorf("the client is told the cause: %v", err)
		}
		_, err = conn.PgConn().CopyFrom(t.Context(), strings.NewReader("7\tcanary-1\n"), "COPY patients (id, ssn) FROM STDIN")
		wantState(t, err, "57P03")
	}
	if got := stats.KeysUnavailable.Load(); got != 4 {
		t.Errorf("%d answers are counted", got)
	}
	said := log.String()
	for _, part := range []string{"level=WARN", "column=patients.ssn", "the service is out", "user=", "database="} {
		if !strings.Contains(said, part) {
			t.Errorf("the log does not say %s:\n%s", part, said)
		}
	}
	if strings.Contains(said, "canary") {
		t.Errorf("the log holds a value:\n%s", said)
	}
}

func TestAValueThatDoesNotOpenIsLogged(t *testing.T) {
	var log lines
	var stats relay.Stats
	direct, through := sealed(t, &relay.Config{Stats: &stats, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	conn := connect(t, through, pgx.QueryExecModeExec)
	mustExec(t, conn, "INSERT INTO patients (id, ssn) VALUES (1, $1)", "canary-1")
	mustExec(t, connect(t, direct, pgx.QueryExecModeExec), "UPDATE patients SET name = ssn")
	_, err := conn.Exec(t.Context(), "SELECT name FROM patients")
	wantState(t, err, "XX001")
	if got := stats.NotOpened.Load(); got != 1 {
		t.Errorf("%d answers are counted", got)
	}
	if said := log.String(); !strings.Contains(said, "column=patients.name") || !strings.Contains(said, "another column") {
		t.Errorf("the log says\n%s", said)
	}
}
