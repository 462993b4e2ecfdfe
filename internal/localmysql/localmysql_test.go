package localmysql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orphanDir tells the test binary, run again as a child, to start a server there and to die.
const orphanDir = "LOCALMYSQL_TEST_ORPHAN_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(orphanDir); dir != "" {
		dieWithServer(dir)
	}
	os.Exit(m.Run())
}

// traversable returns a directory that the server's user may enter.
func traversable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "my-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func started(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), c)
	if errors.Is(err, ErrNoBinaries) && testing.Short() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func TestAServerAnswersUntilItIsStopped(t *testing.T) {
	dir := traversable(t)
	s := started(t, Config{Dir: dir, Options: map[string]string{"innodb-fast-shutdown": "2"}})
	if !greets(s.Socket()) || !strings.Contains(s.DSN("db"), s.Socket()) || !strings.HasSuffix(s.DSN("db"), "/db") {
		t.Errorf("nobody answers at %s", s.DSN("db"))
	}
	info, err := os.Stat(s.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory of a server without a password: %v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 || greets(s.Socket()) {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAnUnknownOptionIsTheError(t *testing.T) {
	dir := traversable(t)
	s, err := Start(t.Context(), Config{Dir: dir, Options: map[string]string{"no-such-option": "1"}})
	if errors.Is(err, ErrNoBinaries) && testing.Short() {
		t.Skip(err)
	}
	if err == nil {
		t.Fatal(errors.Join(errors.New("it started"), s.Stop()))
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNoBinariesAreNamedWithTheirRemedy(t *testing.T) {
	if found, err := findPrograms(); err == nil && strings.HasPrefix(found.server, "/usr/sbin/") {
		// There the server is found in spite of PATH, which is what is wanted.
		t.Setenv("PATH", "/usr/bin")
		if again, err := findPrograms(); err != nil || again.server != found.server {
			t.Errorf("with a short PATH: %v, %v", again, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if found, err := findPrograms(); err == nil && found.install != "" {
		t.Errorf("found %v", found)
	}
	if !strings.Contains(ErrNoBinaries.Error(), "apt-get install mariadb-server") {
		t.Errorf("no remedy in %v", ErrNoBinaries)
	}
}

// dieWithServer starts a server, prints its socket, and kills this process. On the way it drops the
// Server, as a caller may who keeps only the DSN, and sees that the garbage collector does not stop it.
func dieWithServer(dir string) {
	s, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	socket := s.Socket()
	for range 3 {
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	if !greets(socket) {
		fmt.Println("failed: the server is gone after a garbage collection")
		os.Exit(1)
	}
	fmt.Println("socket", socket)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	if testing.Short() && !Available() {
		t.Skip(ErrNoBinaries)
	}
	dir := traversable(t)
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), orphanDir+"="+dir)
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	socket, ok := strings.CutPrefix(strings.TrimSpace(line), "socket ")
	if err != nil || !ok {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if err := process.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child was to be killed, but: %v", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		running := greets(socket)
		if len(entries) == 0 && !running {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %d directories, server running: %v", len(entries), running)
		}
	}
}
