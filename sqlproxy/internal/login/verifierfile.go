package login

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rowseal/rowseal/sqlproxy/internal/scram"
)

// VerifierFile holds verifiers that were read from a file.
type VerifierFile struct {
	verifiers map[string]string
}

var _ Verifiers = (*VerifierFile)(nil)

// ReadVerifierFile reads a file with a user and a verifier on each line:
//
//	alice SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>
//	"a user" "SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>"
//
// Quotes are needed for names with blanks or quotes, which are doubled, so that
// PgBouncer's userlist.txt is read too. Empty lines and those that
// begin with # or ; count for nothing. Passwords and MD5 hashes are refused. Errors name file and
// line, and quote nothing.
func ReadVerifierFile(path string) (*VerifierFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("login: reading verifiers: %w", err)
	}
	defer f.Close()
	verifiers, err := parseVerifiers(f)
	if err != nil {
		return nil, fmt.Errorf("login: %s: %w", path, err)
	}
	return &VerifierFile{verifiers}, nil
}

func parseVerifiers(r io.Reader) (map[string]string, error) {
	verifiers := map[string]string{}
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		user, rest, ok := word(line)
		text, rest, ok2 := word(strings.TrimSpace(rest))
		if !ok || !ok2 || rest != "" || user == "" || text == "" {
			return nil, fmt.Errorf("line %d: want a user and a verifier", number)
		}
		if _, err := scram.ParseVerifier(text); err != nil {
			return nil, fmt.Errorf("line %d: %w; copy rolpassword of pg_authid", number, err)
		}
		if _, twice := verifiers[user]; twice {
			return nil, fmt.Errorf("line %d: the user stands on an earlier line too", number)
		}
		verifiers[user] = text
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, errors.New("a line is too long")
	}
	return verifiers, lines.Err()
}

// word takes a word, or what stands in quotes, off the front of a line.
func word(line string) (text, rest string, ok bool) {
	if !strings.HasPrefix(line, `"`) {
		if at := strings.IndexAny(line, " \t"); at >= 0 {
			return line[:at], line[at:], true
		}
		return line, "", true
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] != '"':
			b.WriteByte(line[i])
		case i+1 < len(line) && line[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			return b.String(), line[i+1:], true
		}
	}
	return "", "", false
}

// Verifier gives the one of a user; "" for those whom the file does not name.
func (f *VerifierFile) Verifier(_ context.Context, user string) (string, error) {
	return f.verifiers[user], nil
}
