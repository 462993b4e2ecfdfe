package integration

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// step is a part of a script as pg_dump writes it: a statement, or a COPY
// with its lines.
type step struct {
	sql  string
	data string // the lines behind COPY … FROM stdin
	copy bool
}

var dollarTag = regexp.MustCompile(`\$[A-Za-z_]*\$`)

// splitScript cuts a script into steps. It knows comments that fill a line,
// quotes, dollar quotes and COPY, which is what dumps consist of.
func splitScript(script string) (steps []step, err error) {
	var statement strings.Builder
	tag, quoted := "", false // inside $tag$ or '…'
	lines := strings.SplitAfter(script, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(line)
		outside := tag == "" && !quoted
		if outside && (strings.HasPrefix(trimmed, "--") || trimmed == "" && statement.Len() == 0) {
			continue
		}
		tag, quoted = scanLine(line, tag, quoted)
		statement.WriteString(line)
		if tag != "" || quoted || !strings.HasSuffix(trimmed, ";") {
			continue
		}
		s := step{sql: strings.TrimSpace(statement.String())}
		statement.Reset()
		if strings.HasPrefix(s.sql, "COPY ") && strings.HasSuffix(s.sql, "FROM stdin;") {
			s.copy = true
			from := i + 1
			for i++; i < len(lines) && strings.TrimRight(lines[i], "\r\n") != `\.`; i++ {
			}
			if i == len(lines) {
				return nil, errors.New(`a COPY has no \. at its end`)
			}
			s.data = strings.Join(lines[from:i], "")
		}
		steps = append(steps, s)
	}
	if strings.TrimSpace(statement.String()) != "" || tag != "" || quoted {
		return nil, errors.New("the script ends within a statement")
	}
	return steps, nil
}

// scanLine follows quotes through a line.
func scanLine(line, tag string, quoted bool) (string, bool) {
	for line != "" {
		switch {
		case tag != "":
			_, rest, found := strings.Cut(line, tag)
			if !found {
				return tag, quoted
			}
			line, tag = rest, ""
		case line[0] == '\'':
			line, quoted = line[1:], !quoted
		case !quoted && line[0] == '$':
			if at := dollarTag.FindString(line); at != "" && strings.HasPrefix(line, at) {
				line, tag = line[len(at):], at
				continue
			}
			line = line[1:]
		default:
			line = line[1:]
		}
	}
	return tag, quoted
}

// gone are settings of old dumps that newer servers do not know.
var gone = regexp.MustCompile(`^SET default_with_oids = false;$`)

// runScript runs a dump's script on one connection.
func runScript(ctx context.Context, conn *pgx.Conn, script string) error {
	steps, err := splitScript(script)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.run(ctx, conn.PgConn()); err != nil {
			return err
		}
	}
	return nil
}

// run runs one step. A server's refusal names the step and is a *pgconn.PgError within.
func (s step) run(ctx context.Context, conn *pgconn.PgConn) (err error) {
	switch {
	case gone.MatchString(s.sql):
	case s.copy:
		_, err = conn.CopyFrom(ctx, strings.NewReader(s.data), s.sql)
	default:
		_, err = conn.Exec(ctx, s.sql).ReadAll()
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("%.60s: %w", s.sql, refused)
	}
	return err
}

func TestScriptsAreCutWhereStatementsEnd(t *testing.T) {
	script := "-- a comment;\nSET a = 1;\n\nCREATE FUNCTION f() AS $_$\n SELECT 'x';\n$_$ LANGUAGE sql;\n" +
		"COMMENT ON x IS 'it''s; two\nlines;';\nCOPY t (a) FROM stdin;\n1\t';\n\\N\t$$\n\\.\n\nanalyze t;\n"
	steps, err := splitScript(script)
	if err != nil {
		t.Fatal(err)
	}
	want := []step{
		{sql: "SET a = 1;"},
		{sql: "CREATE FUNCTION f() AS $_$\n SELECT 'x';\n$_$ LANGUAGE sql;"},
		{sql: "COMMENT ON x IS 'it''s; two\nlines;';"},
		{sql: "COPY t (a) FROM stdin;", data: "1\t';\n\\N\t$$\n", copy: true},
		{sql: "analyze t;"},
	}
	if fmt.Sprint(steps) != fmt.Sprint(want) {
		t.Fatalf("got  %v\nwant %v", steps, want)
	}
	for _, broken := range []string{"SELECT 1", "SELECT 'x;\n", "COPY t FROM stdin;\n1\n", "DO $$ x;\n"} {
		if _, err := splitScript(broken); err == nil {
			t.Errorf("%q was taken for a whole script", broken)
		}
	}
}
