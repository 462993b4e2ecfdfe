package localpg

import (
	"bytes"
	"io"
	"sync"
)

// tailBytes is how much of a program's output an error may quote.
const tailBytes = 4096

// tail passes a program's output on and keeps its end, for the error of a start that failed.
type tail struct {
	mu     sync.Mutex
	next   io.Writer // nil: nobody
	recent []byte
	closed bool
}

func newTail(next io.Writer) *tail { return &tail{next: next} }

// Write implements io.Writer. It never fails: a program must not stop because its log's reader did.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		if _, err := t.next.Write(p); err != nil {
			t.next = nil
		}
	}
	if !t.closed {
		t.recent = append(t.recent, p...)
		if extra := len(t.recent) - tailBytes; extra > 0 {
			t.recent = append(t.recent[:0], t.recent[extra:]...)
		}
	}
	return len(p), nil
}

// forget ends the keeping: from now on the log holds users' statements.
func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent, t.closed = nil, true
}

func (t *tail) contains(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.recent, []byte(text))
}

// String returns the end of the output.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.recent)
}
