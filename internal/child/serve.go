package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Serve runs a Go program of this module that prints a server's connection string and serves until its
// input ends, that is, until this process does. It returns the connection string.
//
// It is for servers in containers: their client is a program and not an import because it would triple
// the size of every test binary.
func Serve(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"run", program}, args...)...)
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
		return "", fmt.Errorf("no container either: %w", err)
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

// ownComplaint picks the program's own line from among those of the go command.
func ownComplaint(output string) string {
	for line := range strings.Lines(output) {
		if reason, ok := strings.CutPrefix(line, "withpg: "); ok {
			return strings.TrimSpace(reason)
		}
	}
	return strings.TrimSpace(output)
}
