package relay

import (
	"sync/atomic"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
	"github.com/rowseal/rowseal/sqlproxy/internal/wire"
)

// maxName is how many bytes of a statement's or portal's name the server heeds.
const maxName = 63

// named is what a name stands for since some message. Whether the server took the
// message is not known when the next one is sent: until then, and where it did not, the
// name stands for what it stood for before.
type named[T any] struct {
	value *T // nil where the message closed the name
	// pipeline is the number of the pipeline that the message was in.
	pipeline int
	state    atomic.Int32
	prev     *named[T]
}

// names are the prepared statements or the portals of a session, as the client's side sees them.
type names[T any] map[string]*named[T]

// settle says that a name was taken.
func settle(made *atomic.Int32) {
	if made != nil {
		made.Store(int32(done))
	}
}

func key(name []byte) []byte { return name[:min(len(name), maxName)] }

// get gives what a name stands for when the server takes all that was sent so far; nil for nothing.
func (n names[T]) get(name []byte, pipeline int) *T {
	value, _ := n.use(name, pipeline)
	return value
}

// use is get for what is about to be used in a pipeline. skip is set where the message of that pipeline which gave the
// name its latest meaning failed or was skipped: the server ignores what follows, and what was meant for that
// must not be taken for what the name stood for before.
func (n names[T]) use(name []byte, pipeline int) (value *T, skip bool) {
	e, skip := n.find(name, pipeline)
	if e == nil {
		return nil, skip
	}
	return e.value, skip
}

// unsure reports whether the server did not answer yet to what gave a name its meaning.
func (n names[T]) unsure(name []byte, pipeline int) bool {
	e, _ := n.find(name, pipeline)
	return e != nil && outcome(e.state.Load()) == pending
}

// ambiguous reports whether a name may stand for one of two things, of which one touches something
// sealed, when a message of this pipeline is taken. Within the pipeline that gave the name its
// meaning it does not: if that failed, so does all that follows.
func (n names[T]) ambiguous(name []byte, pipeline int) bool {
	e, _ := n.find(name, pipeline)
	return e != nil && e.prev != nil && e.pipeline != pipeline && outcome(e.state.Load()) == pending && e.mayTouch()
}

// remade reports whether a name that stood for something sealed was given another meaning that the server did not
// answer to yet. Where it has not been closed the server will not take that.
func (n names[T]) remade(name []byte, pipeline int) bool {
	e, _ := n.find(name, pipeline)
	return len(name) > 0 && e != nil && e.prev != nil && outcome(e.state.Load()) == pending && !touches(e.value) && e.mayTouch()
}

// mayTouch reports whether one of the things that a name may stand for touches something sealed.
func (e *named[T]) mayTouch() bool {
	for ; e != nil; e = e.prev {
		if touches(e.value) {
			return true
		}
		if outcome(e.state.Load()) == done {
			break
		}
	}
	return false
}

func touches[T any](value *T) bool {
	v, ok := any(value).(interface{ touches() bool })
	return ok && value != nil && v.touches()
}

// find gives what a name stands for, nil for nothing; for skip see use.
func (n names[T]) find(name []byte, pipeline int) (e *named[T], skip bool) {
	first := n[string(key(name))]
	if first == nil {
		return nil, false
	}
	state := outcome(first.state.Load())
	skip = first.pipeline == pipeline && (state == failed || state == skipped || state == dropped)
	for e = first; e != nil && (state == failed || state == skipped); {
		if e = e.prev; e != nil {
			state = outcome(e.state.Load())
		}
	}
	if e != nil && (state == done || state == dropped) {
		e.prev = nil
		if e.value == nil || state == dropped {
			e = nil
		}
	}
	switch {
	case e == first || skip:
	case e == nil:
		delete(n, string(key(name)))
	default:
		n[string(key(name))] = e
	}
	return e, skip
}

// set has a name stand for value, or for nothing where that is nil, if the
// message that says so is taken; what it returns, if anything, learns that.
func (n names[T]) set(name []byte, value *T, pipeline int) *atomic.Int32 {
	old, _ := n.find(name, pipeline)
	if value == nil && old == nil {
		return nil
	}
	e := &named[T]{value: value, pipeline: pipeline, prev: old}
	n[string(key(name))] = e
	return &e.state
}

// deallocateAll forgets all statements but the unnamed one, which is left to the server's Parse and Query.
func deallocateAll(n names[statement]) {
	unnamed := n[""]
	clear(n)
	if unnamed != nil {
		n[""] = unnamed
	}
}

// statement is a prepared statement.
type statement struct {
	name string
	// text is the client's, and oids what it declared. inner is set where the text is PREPARE's, "" where that had others
	// beside it; repeats is how it is analysed.
	text           string
	oids           []uint32
	inner, repeats bool
	effects        parse.Effects
	// sensitive is set where the text names something sealed; seen is what it was
	// analysed with then, snapshot what decided. For the client's side.
	sensitive bool
	seen      *view
	snapshot  *catalog.Snapshot
	// nature is for the client's side; the zero value is of what is not known.
	nature nature
	// asked is set once the server was asked what the columns are; for the client's side too.
	asked bool
	// plan is nil where the text names nothing sealed.
	plan *plan.Plan
	// rewritten is what the server got; nil where that was the client's text.
	rewritten *sealing.Rewritten
	// analysed is what plan was made with.
	analysed *view
	stamped
	// exchanged is set where the server has another under the name, or one whose text was too long to read.
	exchanged bool

	// For the server's side: what the server answered to Describe.
	described bool
	columns   []wire.ColumnInfo
	opener    *sealing.Opener
	openerOf  openerKey
}

// touches reports whether values or results of the statement are changed.
func (s *statement) touches() bool { return s.plan != nil && s.plan.Touches }

// outputs gives the result's columns as the analysis knows them.
func (s *statement) outputs() []plan.Output {
	if s.plan == nil || len(s.plan.Stmts) == 0 {
		return nil
	}
	return s.plan.Stmts[0].Result
}

// portal is a bound statement, or a cursor.
type portal struct {
	statement *statement
	effects   parse.Effects
	// names makes or drops prepared statements or cursors by name, and touches nothing sealed besides; nil for others.
	names *statement
	// text is what runs, where statement is nil; "" for what is not known.
	text string
	// client are the formats that the client asked for, server those that the proxy asks for.
	client, server []int16
	// values is what to open with.
	values *sealing.Session
	seen   *view
	// cursor is set for what SQL's DECLARE made, whose columns outputs knows.
	cursor  bool
	outputs []plan.Output
	stamped
	// asked is set once the server was asked what a cursor's columns are; columns, which are the server's
	// side's, are its answer.
	asked   bool
	columns []wire.ColumnInfo
}

// analysed gives what the statement behind the portal was analysed with; nil for cursors.
func (p *portal) analysed() *view {
	if p.statement == nil {
		return nil
	}
	return p.statement.analysed
}

// query is a Query that touches something sealed, or is waited for.
type query struct {
	plan      *plan.Plan
	rewritten *sealing.Rewritten
	values    *sealing.Session
	seen      *view
	// index is the statement that the server is at, for the server's side; once the query is
	// over, how many were completed.
	index int
	// failed is set where the server answered with an error.
	failed bool
	// tag is the body of the last CommandComplete while it waits for the COMMIT; for the server's side.
	tag []byte
	// late are messages that came behind it meanwhile.
	late []byte

	// split is set where it was sent as messages of the extended protocol. For the server's side: which of
	// them were answered, what to send where the columns are others than was thought, and whether that is so.
	split bool
	// shape is the text's where it could be split, else 0.
	shape         uint64
	parsed, bound bool
	again         string
	anew          bool
}

// touches reports whether rows of the portal are changed.
func (p *portal) touches() bool { return p.cursor || p.statement != nil }

// openerKey says what an Opener was made for.
type openerKey struct {
	values *sealing.Session
	format int16
}
