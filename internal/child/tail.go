package child

import (
	"bytes"
	"io"
	"sync"
)

// tailBytes is how much of a program's output an error may quote.
const tailBytes = 4096

// Tail passes a program's output on and keeps its end, for the error of a start that failed.
type Tail struct {
	mu     sync.Mutex
	next   io.Writer // nil: nobody
	recent []byte
	closed bool
}

// NewTail returns a Tail that passes output on to next; nil discards it.
func NewTail(next io.Writer) *Tail { return &Tail{next: next} }

// Write implements io.Writer. It never fails: a program must not stop because its log's reader did.
func (t *Tail) Write(p []byte) (int, error) {
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

// Forget ends the keeping: from now on the log holds users' statements.
func (t *Tail) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent, t.closed = nil, true
}

// Contains reports whether text stands in what was kept.
func (t *Tail) Contains(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.recent, []byte(text))
}

// String returns the end of the output.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.recent)
}
