package localpg

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// started starts a server in a directory of the test's own and stops it at the end.
func started(t *testing.T, c Config) *Server {
	t.Helper()
	if c.Dir == "" {
		c.Dir = traversable(t)
	}
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// traversable is a temporary directory that the server's user may enter.
func traversable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func ask(t *testing.T, dsn, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

func TestServer(t *testing.T) {
	var log strings.Builder
	s := started(t, Config{
		Settings: map[string]string{"fsync": "off", "application_name": `it's a \ name`},
		Log:      &log,
	})
	for _, tt := range []struct{ name, query, want string }{
		{"answers", "SELECT 'yes'", "yes"},
		{"is encoded in UTF-8", "SHOW server_encoding", "UTF8"},
		{"sorts by code point", "SELECT CASE WHEN 'Z' < 'a' THEN 'yes' ELSE 'no' END", "yes"},
		{"takes settings", "SHOW fsync", "off"},
		{"takes settings with quotes and backslashes", "SELECT reset_val FROM pg_settings WHERE name = 'application_name'", `it's a \ name`},
		{"listens on loopback only", "SHOW listen_addresses", "127.0.0.1"},
		{"has no socket file", "SHOW unix_socket_directories", ""},
		{"gives its client a superuser", "SELECT usesuper::text FROM pg_user WHERE usename = current_user", "true"},
		{"uses the directory it reports", "SHOW data_directory", s.DataDir()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, s.DSN("postgres"), tt.query); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.query, got, tt.want)
			}
		})
	}
	t.Run("refuses a wrong password", func(t *testing.T) {
		u, err := url.Parse(s.DSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(superuser, "wrong")
		if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
			conn.Close(t.Context())
			t.Error("a stranger was let in")
		}
	})
	t.Run("does not print its password", func(t *testing.T) {
		if strings.Contains(s.String(), s.password) {
			t.Error("String holds the password")
		}
	})
	t.Run("stops while a client is connected, leaves nothing, and may be stopped again", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		for range 2 {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		}
		mustBeEmpty(t, filepath.Dir(s.dir))
	})
	if !strings.Contains(log.String(), "database system is ready") {
		t.Error("Config.Log did not receive the server's log")
	}
}

func TestStartTriesAnotherPortWhenTheFirstIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenPort := taken.Addr().(*net.TCPAddr).Port
	calls := 0
	s, err := start(t.Context(), Config{Dir: traversable(t)}, func() (int, error) {
		if calls++; calls == 1 {
			return takenPort, nil
		}
		return freePort()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if s.Port() == takenPort || calls != 2 {
		t.Errorf("port %d after %d choices; %d is taken", s.Port(), calls, takenPort)
	}
	if got := ask(t, s.DSN("postgres"), "SELECT 'yes'"); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func TestStartRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config Config
		is     error
		says   string
	}{
		{
			name:   "a folder without server programs, and says how to install them",
			config: Config{BinDir: os.DevNull},
			is:     ErrNoBinaries, says: "apt-get install postgresql",
		},
		{
			name:   "a setting that would open the server to the network",
			config: Config{Settings: map[string]string{"listen_addresses": "*"}},
			says:   `"listen_addresses"`,
		},
		{
			name:   "a setting whose name would smuggle in a line",
			config: Config{Settings: map[string]string{"a = 1\nlisten_addresses": "*"}},
			says:   "not a parameter name",
		},
		{
			name:   "an unknown setting, quoting the server",
			config: Config{Settings: map[string]string{"no_such_setting": "1"}},
			says:   "no_such_setting",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Dir = traversable(t)
			s, err := Start(t.Context(), tt.config)
			if err == nil {
				t.Fatal("started", s, s.Stop())
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
			mustBeEmpty(t, tt.config.Dir)
		})
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := traversable(t)
	_, err := Start(ctx, Config{Dir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustBeEmpty(t, dir)
}

func TestVersionDirsPutsTheNewestFirst(t *testing.T) {
	root := t.TempDir()
	for _, v := range []string{"9.6", "15", "10", "unversioned"} {
		if err := os.MkdirAll(filepath.Join(root, v, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, dir := range versionDirs(filepath.Join(root, "*", "bin")) {
		got = append(got, filepath.Base(filepath.Dir(dir)))
	}
	if want := "15 10 9.6 unversioned"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBinariesAreFoundInPathAndLinksFollowed(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin, lib := filepath.Join(root, "bin"), filepath.Join(root, "lib")
	for _, dir := range []string{bin, lib} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(lib, program), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(lib, program), filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	got, err := findBinaries(t.Context(), "")
	if err != nil || got != lib {
		t.Errorf("got %q, %v; want %q", got, err, lib)
	}
}
