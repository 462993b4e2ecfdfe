//go:build unix

package localpg

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// orphanDir tells the test binary, run again as a child, to start a server there and to die.
const orphanDir = "LOCALPG_TEST_ORPHAN_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(orphanDir); dir != "" {
		dieWithServer(dir)
	}
	os.Exit(m.Run())
}

// dieWithServer starts a server, prints its port, and kills this process. On the way it drops the
// Server, as a caller may who keeps only the DSN, and sees that the garbage collector does not stop it.
func dieWithServer(dir string) {
	s, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	port := s.Port()
	for range 3 {
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	if !answers(port) {
		fmt.Println("failed: the server is gone after a garbage collection")
		os.Exit(1)
	}
	fmt.Println("port", port)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	dir := traversable(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), orphanDir+"="+dir)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "port %d", &port); err != nil {
		t.Fatalf("the child says %q", line)
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child was to be killed, but: %v", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		running := answers(port)
		if len(entries) == 0 && !running {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %d directories, server running: %v", len(entries), running)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// answers reports whether anything listens at the port. (The process id would not do: where nobody
// reaps orphans, a dead one can still be signalled.)
func answers(port int) bool {
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
