package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// watchdogScript waits for a line or for the end of its input. The line means that all was cleaned up;
// the end without a line means that the parent died, so the script stops the server, whose process id
// is the first line of its pid file, and removes the directory. The server removes its pid file as it
// ends; if it does not in two seconds, it is killed. The removal is repeated because the server, or a
// program just orphaned that makes its files, may still be writing.
const watchdogScript = `
trap '' INT HUP TERM
read -r line && exit 0
signal=QUIT
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
	if [ "$signal" != none ] && read -r pid <"$2" && [ "$pid" -gt 1 ] && kill -"$signal" "$pid"; then
		[ "$attempt" = 20 ] && signal=KILL
		[ "$attempt" = 22 ] && signal=none
		sleep 0.1
		continue
	fi
	rm -rf -- "$1"
	[ -e "$1" ] || exit 0
	sleep 0.1
done
`

// Watchdog is a shell that outlives this process just long enough to clean up after it. It holds the
// reading end of a pipe whose writing end only this process has.
type Watchdog struct {
	pipe io.WriteCloser
	done chan struct{}
	err  error // the shell's outcome, once done is closed
}

// StartWatchdog watches over the server that writes its process id to pidFile and whose files are all in
// dir. The name of dir must not be guessable beforehand, because the watchdog removes it.
func StartWatchdog(dir, pidFile string) (*Watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "rowseal-watchdog", dir, pidFile)
	cmd.Dir = "/"
	cmd.SysProcAttr = detached()
	// Output stays nil, which is /dev/null: were this process's output inherited, "go test" would wait
	// for the watchdog to close it.
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("child: watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("child: watchdog: %w", err), pipe.Close())
	}
	w := &Watchdog{pipe: pipe, done: make(chan struct{})}
	// The goroutine also keeps the pipe reachable: a caller may drop its Server and keep the DSN, and a
	// pipe closed by the garbage collector would stop the server.
	go func() {
		w.err = cmd.Wait()
		close(w.done)
	}()
	return w, nil
}

// CallOff ends the watchdog when there is nothing left to clean up.
func (w *Watchdog) CallOff() error {
	// A watchdog that is gone cannot be written to; its outcome, from Release, says why it is.
	_, _ = io.WriteString(w.pipe, "done\n")
	return w.Release()
}

// Release closes the pipe, upon which the watchdog cleans up unless called off, and awaits its end.
func (w *Watchdog) Release() error {
	err := w.pipe.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil // the watchdog ended first, and the goroutine that awaits it closed the pipe
	}
	<-w.done
	if err := errors.Join(err, w.err); err != nil {
		return fmt.Errorf("child: watchdog: %w", err)
	}
	return nil
}
