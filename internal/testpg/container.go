package testpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/rowseal/rowseal/internal/localpg"
)

// withpgPackage is the program that can run a container. It is a program and not an import because
// testcontainers and what it needs would triple the size of every test binary.
const withpgPackage = "github.com/rowseal/rowseal/internal/testpg/withpg"

// startContainer runs withpg, which prints the connection string of a container that lives until the
// program's input ends, that is, until this process does.
func startContainer(ctx context.Context) (string, error) {
	cmd := exec.Command("go", "run", withpgPackage, "-serve")
	// fips140=only and experiments are for the code under test, not for a Docker client.
	cmd.Env = append(os.Environ(), "GODEBUG=", "GOEXPERIMENT=", "GOFLAGS=")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if _, err := cmd.StdinPipe(); err != nil { // kept open until this process ends
		return "", err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w; no container either: %w", localpg.ErrNoBinaries, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		_ = cmd.Wait() // its complaint says more than its exit status
		return "", errors.New(ownComplaint(complaint.String()))
	}
	// Waiting keeps cmd reachable: were the pipe collected, it would be closed and end the container.
	go func() { _ = cmd.Wait() }()
	return strings.TrimSpace(line), nil
}

// ownComplaint picks withpg's own line from among those of the go command.
func ownComplaint(output string) string {
	for line := range strings.Lines(output) {
		if reason, ok := strings.CutPrefix(line, "withpg: "); ok {
			return strings.TrimSpace(reason)
		}
	}
	return strings.TrimSpace(output)
}
