package integration

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/internal/testpg"
)

// TestTheProxysExampleRuns runs the script as its README says, on a server of its own because the
// script makes a database of a fixed name.
func TestTheProxysExampleRuns(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "sh", "../examples/proxy/run.sh")
	c.Env = append(os.Environ(), "DATABASE_URL="+testpg.Start(t, nil).DSN("postgres"), "PORT="+strconv.Itoa(port))
	said, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	client, server, ok := strings.Cut(string(said), "-- what the server holds")
	if !ok {
		t.Fatalf("the script says\n%s", said)
	}
	for what, has := range map[string]bool{
		"a value, found by equality": strings.Contains(client, "078-05-1120 | Ada Lovelace | London"),
		"a value that was changed":   strings.Contains(client, "Ada, Countess of Lovelace"),
		"a refusal with its hint":    strings.Contains(client, "people.ssn") && strings.Contains(client, "HINT:"),
		"sealed values":              strings.Contains(server, "…") && !strings.Contains(server, "Lovelace"),
		"the guard's refusal":        strings.Contains(server, "violates check constraint"),
	} {
		if !has {
			t.Errorf("the script does not show %s:\n%s", what, said)
		}
	}
}
