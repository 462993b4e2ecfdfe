package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// outputGrace is how long output is still read after a program's end; a stray grandchild that holds
// the pipe open must not hold Stop up.
const outputGrace = 2 * time.Second

// Process is a started program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program as the account, in a process group of its own, with dir as its working
// directory and its output going to log.
func (a Account) Start(dir string, log *Tail, program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = environment(dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = a.attributes()
	cmd.WaitDelay = outputGrace

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the thread ends that started the child, so that
		// thread is kept until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("child: starting %s: %w", program, err)
	}
	return p, nil
}

// environment is this process's without PG* and MYSQL* (a PGDATA or MYSQL_HOME meant for other servers)
// and without a home directory that the server's user may not read.
func environment(dir string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "PG") || strings.HasPrefix(entry, "MYSQL") || strings.HasPrefix(entry, "LC_") ||
			strings.HasPrefix(entry, "LANG") || strings.HasPrefix(entry, "HOME=") {
			continue
		}
		env = append(env, entry)
	}
	return append(env, "HOME="+dir, "LC_ALL="+Locale())
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is the program's outcome; read it after Done only.
func (p *Process) Err() error { return p.err }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal; the error says that the program has ended.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Await waits for the program's end or for ctx, which kills it and all that it started. It returns the
// program's outcome, or the context's error.
func (p *Process) Await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		p.KillGroup()
		<-p.done
		return ctx.Err()
	case <-p.done:
		return p.err
	}
}

// Step is one way to end a program, and how long to wait for it to work.
type Step struct {
	Signal syscall.Signal
	Wait   time.Duration
}

// End tries the steps in their order until the program has ended.
func (p *Process) End(steps ...Step) error {
	for _, step := range steps {
		if p.Signal(step.Signal) != nil {
			break // it has ended
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(step.Wait):
		}
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(outputGrace * 2):
		return fmt.Errorf("child: the server (process %d) does not end", p.PID())
	}
}

// Failure is the outcome of a program that should not have ended; call it after Done.
func (p *Process) Failure() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}

// Locale is C.UTF-8 where the C library has it, else C; both compare strings byte by byte.
func Locale() string {
	if runtime.GOOS == "linux" {
		return "C.UTF-8"
	}
	return "C"
}

// RemoveAll removes a directory in which a dying server may still write for a moment.
func RemoveAll(dir string) error {
	var err error
	for range 10 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("child: removing the server's directory: %w", err)
}
