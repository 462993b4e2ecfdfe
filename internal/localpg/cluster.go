package localpg

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/rowseal/rowseal/internal/child"
)

// initialise makes the data directory: UTF-8, a locale that sorts by code point everywhere alike, and
// no waiting for the disk, because the cluster does not outlive the process.
func (s *Server) initialise(ctx context.Context, c Config) error {
	s.password = rand.Text()
	passwordFile := filepath.Join(s.dir, "password")
	if err := s.writeFile(passwordFile, s.password); err != nil {
		return err
	}
	tail := child.NewTail(c.Log)
	initdb, err := s.account.Start(s.dir, tail, s.binary("initdb"),
		"-D", s.DataDir(), "--username="+superuser, "--pwfile="+passwordFile,
		// Cleartext on loopback only: SCRAM would cost milliseconds of every test's connection.
		"--auth=password",
		"--encoding=UTF8", "--locale="+child.Locale(), "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if err := initdb.Await(ctx); err != nil {
		return fmt.Errorf("localpg: initdb: %w; its last words:\n%s", err, tail)
	}
	if err := os.Remove(passwordFile); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return s.appendSettings(c.Settings)
}

func (s *Server) writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return s.account.Own(path)
}

// appendSettings writes parameters to postgresql.conf and not to the command line, so that ALTER
// SYSTEM can still change them.
func (s *Server) appendSettings(settings map[string]string) error {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	text.WriteString("\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n")
	for _, name := range names {
		fmt.Fprintf(&text, "%s = %s\n", name, quoteSetting(settings[name]))
	}
	f, err := os.OpenFile(filepath.Join(s.DataDir(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	if _, err := f.WriteString(text.String()); err != nil {
		_ = f.Close() // the write's error is the one that tells
		return fmt.Errorf("localpg: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

func validSettingName(name string) bool { return settingName.MatchString(name) }

// quoteSetting writes a value as postgresql.conf reads it: quotes doubled, backslash as an escape.
func quoteSetting(value string) string {
	return "'" + strings.NewReplacer(`'`, `''`, `\`, `\\`, "\n", `\n`).Replace(value) + "'"
}
