package relay_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// TestMalformedMessagesAreRefused: what the proxy cannot read it does not send on, and the session goes on.
func TestMalformedMessagesAreRefused(t *testing.T) {
	direct, through := sealed(t, &relay.Config{})
	const insert = "INSERT INTO patients (id, ssn) VALUES (1, $1)"
	prepare := encode(t, &pgproto3.Parse{Name: "s", Query: insert}, &pgproto3.Sync{})
	sync := encode(t, &pgproto3.Sync{})
	for name, script := range map[string][]byte{
		"a Query without an end":         wire.AppendMessage(nil, wire.Query, "SELECT 'x' FROM patients"),
		"a Query that goes on":           wire.AppendMessage(nil, wire.Query, "SELECT 1\x00SELECT 'x' FROM patients\x00"),
		"an empty Query":                 wire.AppendMessage(nil, wire.Query),
		"a Parse without an end":         append(wire.AppendMessage(nil, wire.Parse, "\x00SELECT ssn FROM patients"), sync...),
		"a Parse with too few types":     append(wire.AppendMessage(nil, wire.Parse, "\x00SELECT ssn FROM patients\x00\x00\x02\x00\x00\x00\x19"), sync...),
		"a Bind that ends early":         slices.Concat(prepare, wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x09canary"), sync),
		"a Bind without result formats":  slices.Concat(prepare, wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x06canary"), sync),
		"a Bind that goes on":            slices.Concat(prepare, wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x06canary\x00\x00more"), sync),
		"a Bind with a negative length":  slices.Concat(prepare, wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\x00\x01\xff\xff\xff\xf0canary\x00\x00"), sync),
		"a Bind with too many in number": slices.Concat(prepare, wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\xff\xff\x00\x00\x00\x06canary\x00\x00"), sync),
	} {
		t.Run(name, func(t *testing.T) {
			got := play(t, hijack(t, through), script)
			if !slices.Contains(got, "E 08P01") || !slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, endMarker) }) {
				t.Errorf("answers are %s", strings.Join(got, ", "))
			}
		})
	}
	var n int
	if err := connect(t, direct, pgx.QueryExecModeSimpleProtocol).QueryRow(t.Context(), "SELECT count(*) FROM patients").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestWhatTheAnalysisCannotDoIsRefused: a defect of the analysis sends nothing on, ends no session, and tells no value.
func TestWhatTheAnalysisCannotDoIsRefused(t *testing.T) {
	for _, panics := range []bool{true, false} {
		var log lines
		shared := relay.NewShared(patients(t), newCipher(t))
		_, through := sealed(t, &relay.Config{Shared: shared, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		conn := hijack(t, through)
		shared.BreakAnalysis(panics)
		const insert = "INSERT INTO patients (id, ssn) VALUES (1, 'canary-1')"
		script := encode(t, &pgproto3.Query{String: insert}, &pgproto3.Parse{Query: insert}, &pgproto3.Sync{}, &pgproto3.Query{String: "SELECT 7"})
		got := play(t, conn, script)
		refused := 0
		for _, w := range got {
			if w == "E XX000" {
				refused++
			}
		}
		if refused != 2 || !slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, endMarker) }) {
			t.Errorf("panics: %v; answers are %s", panics, strings.Join(got, ", "))
		}
		if strings.Contains(log.String(), "canary-1") || panics && strings.Contains(log.String(), "canary") {
			t.Errorf("the log holds what it should not:\n%s", log.String())
		}
	}
}
