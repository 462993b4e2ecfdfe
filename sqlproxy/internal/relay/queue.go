package relay

import (
	"sync"
	"sync/atomic"
)

// kind is a kind of what the server is expected to answer.
type kind byte

const (
	expectNone      kind = iota
	expectParse          // ParseComplete
	expectBind           // BindComplete
	expectStatement      // ParameterDescription, then RowDescription or NoData
	expectPortal         // RowDescription or NoData
	expectExecute        // rows, then CommandComplete and its kin
	expectClose          // CloseComplete
	expectSync           // ReadyForQuery
	expectQuery          // anything, then ReadyForQuery
	expectCall           // FunctionCallResponse, then ReadyForQuery
	expectOwn            // the answers to a query of the proxy's own
	expectCopyEnd        // nothing: the client ended its data
)

// expected is what the server is expected to answer to one message.
type expected struct {
	kind kind
	// own is set for what the client did not ask for: the answers are swallowed.
	own bool
	// force has the refusal stand even where the transaction has failed.
	force bool
	// alters is set where the catalog may have changed for others too.
	alters bool
	// guarded has the transaction seen to before ReadyForQuery is passed; bracket is set where the block is the
	// proxy's own, ending once that was begun.
	guarded, bracket, ending bool

	// statement and portal are what the message is about, query what a Query asks; nil where nothing sealed is in it.
	statement *statement
	portal    *portal
	query     *query
	// made is the fate of the name that the message makes or closes; drops is set where an error closes it.
	made  *atomic.Int32
	drops bool
	// refusal is the ErrorResponse that takes the place of the server's.
	refusal []byte
	asked   *asked
	wait    *waiter
}

// outcome is what became of what a message asked for.
type outcome int32

const (
	pending outcome = iota
	done
	failed
	skipped
	// unopened: the server did it, but a value of the result did not open.
	unopened
	// dropped: it failed, and the name that it was to make was closed.
	dropped
)

// settle tells all who wait what became of the message.
func (e *expected) settle(o outcome) {
	if e.made != nil && e.drops && o == failed {
		e.made.Store(int32(dropped))
	} else if e.made != nil {
		e.made.Store(int32(o))
	}
	if e.wait != nil {
		e.wait.finish(o)
	}
}

// waiter lets the client's side wait until the server's side came to an answer.
type waiter struct {
	outcome outcome // valid once done is closed
	done    chan struct{}
}

func newWaiter() *waiter { return &waiter{done: make(chan struct{})} }

func (w *waiter) finish(o outcome) {
	w.outcome = o
	close(w.done)
}

// queue holds what the server is expected to answer, in order. It is unbounded: the
// client may write as much as it likes before it reads the first answer.
//
// The client's side gathers in next, without a lock, what it is about to write, and
// publishes it before it writes. The server's side takes all there is at once.
type queue struct {
	next []expected // the client's side's
	mine []expected // the server's side's, from head
	head int

	// answered counts what left the queue; atEnd is set while the last was a ReadyForQuery.
	answered atomic.Int64
	atEnd    atomic.Bool

	mu sync.Mutex
	// published counts what entered the queue.
	published int64
	// items were published and not taken.
	items []expected
	// skipping is set after an error until the client's Sync: the server ignores everything else.
	skipping bool
	// ended refuses what comes: the session was ended while it was idle.
	ended bool
}

// idleItems is the largest list that an idle session keeps.
const idleItems = 64

// push notes what a message that is about to be written will be answered with.
func (q *queue) push(e expected) { q.next = append(q.next, e) }

// publish hands over what push gathered. It must be called before the messages are written. It reports
// false where the session has ended.
func (q *queue) publish() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.next {
		q.add(&q.next[i])
	}
	clear(q.next)
	if q.next = q.next[:0]; cap(q.next) > idleItems {
		q.next = nil
	}
	return !q.ended
}

func (q *queue) add(e *expected) {
	if q.ended || q.skipping && e.kind != expectSync {
		e.settle(skipped)
		return
	}
	if e.kind == expectCopyEnd && q.published == q.answered.Load() {
		e.settle(skipped) // the COPY has failed already
		return
	}
	q.skipping = false
	q.published++
	q.items = append(q.items, *e)
}

// front gives what the next answer belongs to; nil for nothing.
func (q *queue) front() *expected {
	if q.head < len(q.mine) {
		return &q.mine[q.head]
	}
	q.take()
	if len(q.mine) == 0 {
		return nil
	}
	return &q.mine[0]
}

// take gets what was published; mine is used up.
func (q *queue) take() {
	used := q.mine[:0]
	if cap(used) > idleItems {
		used = nil
	}
	q.mu.Lock()
	q.mine, q.items, q.head = q.items, used, 0
	q.mu.Unlock()
}

// pop removes the front.
func (q *queue) pop(o outcome) {
	e := &q.mine[q.head]
	if e.kind != expectOwn && e.kind != expectCopyEnd {
		q.atEnd.Store(e.kind == expectSync || e.kind == expectQuery || e.kind == expectCall)
	}
	told := *e
	*e = expected{}
	q.head++
	q.answered.Add(1)
	q.dropEnds()
	told.settle(o) // who waits must find the queue without it
}

// dropEnds drops ends of data at the front: the COPY has failed, and the server ignores them.
func (q *queue) dropEnds() {
	for ; q.head < len(q.mine); q.head++ {
		if q.mine[q.head].kind != expectCopyEnd {
			return
		}
		q.answered.Add(1)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.items) && q.items[n].kind == expectCopyEnd {
		n++
	}
	if n > 0 {
		q.published -= int64(n)
		q.items = append(q.items[:0], q.items[n:]...)
	}
}

// skip drops, after an error, everything up to the client's next Sync.
func (q *queue) skip() {
	for ; q.head < len(q.mine); q.head++ {
		if q.mine[q.head].kind == expectSync {
			return
		}
		q.mine[q.head].settle(skipped)
		q.mine[q.head] = expected{}
		q.answered.Add(1)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mine, q.head = q.mine[:0], 0
	items := q.items
	q.items = nil
	q.published -= int64(len(items))
	q.skipping = true
	for i := range items {
		q.add(&items[i])
	}
}

// second gives what is expected behind the front; nil for nothing.
func (q *queue) second() *expected {
	if q.head+1 >= len(q.mine) {
		q.mu.Lock()
		q.mine = append(q.mine, q.items...)
		clear(q.items)
		q.items = q.items[:0]
		q.mu.Unlock()
	}
	if q.head+1 >= len(q.mine) {
		return nil
	}
	return &q.mine[q.head+1]
}

// insertSecond puts something behind the front that was sent outside of the client's side.
func (q *queue) insertSecond(e expected) {
	q.mine = append(q.mine, expected{})
	copy(q.mine[q.head+2:], q.mine[q.head+1:])
	q.mine[q.head+1] = e
	q.mu.Lock()
	q.published++
	q.mu.Unlock()
}

// addSync puts a Sync behind all that was published.
func (q *queue) addSync() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(&expected{kind: expectSync})
}

// popSecond removes what is behind the front.
func (q *queue) popSecond() {
	q.mine[q.head+1].settle(done)
	q.answered.Add(1)
	copy(q.mine[q.head+1:], q.mine[q.head+2:])
	q.mine[len(q.mine)-1] = expected{}
	q.mine = q.mine[:len(q.mine)-1]
}

// quiet reports whether no answer is outstanding. It is for the client's side.
func (q *queue) quiet() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.next) == 0 && q.published == q.answered.Load()
}

// endIdle ends the session if no answer is outstanding and the last was a
// ReadyForQuery. Any goroutine may call it.
func (q *queue) endIdle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || q.published != q.answered.Load() || !q.atEnd.Load() {
		return false
	}
	q.ended = true
	return true
}

// abandon tells all who wait that no answer will come.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	for i := q.head; i < len(q.mine); i++ {
		q.mine[i].settle(skipped)
	}
	for i := range q.items {
		q.items[i].settle(skipped)
	}
	q.mine, q.items, q.head = nil, nil, 0
	q.skipping = true
}
