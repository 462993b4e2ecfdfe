package localpg

import (
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

// process is a started program; done closes when it has ended, and err is then its outcome.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// start runs a program as the account, in a process group of its own, with dir as its working
// directory and its output going to log.
func (a account) start(dir string, log *tail, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = environment(dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = a.attributes()
	cmd.WaitDelay = outputGrace

	p := &process{cmd: cmd, done: make(chan struct{})}
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
		return nil, fmt.Errorf("localpg: starting %s: %w", program, err)
	}
	return p, nil
}

// environment is this process's without PG* (a PGDATA or PGOPTIONS meant for other servers) and
// without a home directory that the server's user may not read.
func environment(dir string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "PG") || strings.HasPrefix(entry, "LC_") ||
			strings.HasPrefix(entry, "LANG") || strings.HasPrefix(entry, "HOME=") {
			continue
		}
		env = append(env, entry)
	}
	return append(env, "HOME="+dir, "LC_ALL="+locale())
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// failure is the outcome of a program that should not have ended; call it after done.
func (p *process) failure() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}
