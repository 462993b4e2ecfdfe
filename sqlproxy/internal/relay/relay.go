// Package relay carries messages between a client that is logged in and its
// server, and knows what each answer belongs to.
//
// [Run] carries one session with two goroutines. One reads what the client
// sends, decides what becomes of each statement, and notes in a queue what answers are
// to come; the other reads the server's answers and takes the notes from the queue, so that each
// message meets the statement that it answers. Statements that touch nothing
// sealed are forwarded as the bytes they came in.
//
// What the proxy must know of the session (search_path, settings, catalog) it asks over the
// client's own connection, between the client's messages, under names that begin with _rowseal_.
//
// A value that does not open is an error as one of the server's: what its statement and its transaction did is
// taken back. In a transaction block the proxy has the block fail before it passes ReadyForQuery. Outside of one a Query that
// writes is put between the proxy's own BEGIN and COMMIT. In the extended protocol what may write behind a result, and
// the Sync behind what wrote, wait until the result was opened. The client's next message waits for all of that, so
// that nothing comes between. Reads are sent as ever. A text that returns sealed columns and ends a transaction is
// refused, unless it only reads and begins outside of a block: then its commands are carried out, and the error says so.
// What a function does that a view or an operator calls is taken back within blocks, and where the text writes itself.
package relay

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/login"
)

// FunctionCalls says what becomes of the protocol's FunctionCall message, whose
// arguments and result no analysis sees.
type FunctionCalls byte

const (
	// RefuseFunctionCalls refuses them.
	RefuseFunctionCalls FunctionCalls = iota
	// AllowFunctionCalls forwards them as they are.
	AllowFunctionCalls
)

// Config is what a session is run with. It is not changed once in use.
type Config struct {
	// Shared is what sessions have in common, the policy and cipher among it. Required.
	Shared *Shared
	// Server names the server of the session's connection, such as its address: sessions share what is known of a
	// database with those of the same server only.
	Server string
	// Tenant, where it is not "", is the session's tenant whatever it sets; SET
	// rowseal.tenant is refused then.
	Tenant string
	// Pooled says that a pooler stands between the proxy and the server which leaves each client its
	// backend until the client ends. Where it is not set, and the policy lists any column, sessions end
	// (08004) whose backend is not the one that answered the login.
	Pooled bool
	// FunctionCalls says what becomes of FunctionCall. Where the policy lists no column they are forwarded.
	FunctionCalls FunctionCalls
	// MaxText is the longest text of a statement, in bytes; 0 is 16 MB. Longer ones are
	// refused with SQLSTATE 54000.
	MaxText int
	// MaxHeld is the longest other message with sealed values; 0 is 160 MB, which is
	// a value of 64 MB in text form, and more.
	MaxHeld int
	// Drain, where it is not nil, ends sessions gracefully when it is done: as soon as the transaction
	// is over, with SQLSTATE 57P01.
	Drain context.Context
	// Idle ends sessions (57P05) whose client says nothing for so long outside of a transaction and with no answer
	// owing; 0 never does.
	Idle time.Duration
	// Logger takes what an operator should know; nil for none. It gets no statement and no value.
	Logger *slog.Logger
	// Stats counts; nil for none.
	Stats *Stats
}

// Stats counts what sessions do.
type Stats struct {
	// Sessions are those that run now.
	Sessions atomic.Int64
	// Statements counts texts (Query and Parse), Analysed those that name something sealed, Refused those that were refused.
	Statements, Analysed, Refused atomic.Int64
	// Rows counts rows that were opened, RowErrors those of which a value did not open.
	Rows, RowErrors atomic.Int64
	// KeysUnavailable counts answers that a key could not be had (57P03), NotOpened those that a value does not
	// open (XX001).
	KeysUnavailable, NotOpened atomic.Int64
	// Unopened counts values of plain columns that seem sealed and were passed as they are.
	Unopened atomic.Int64
	// Queries counts the proxy's own queries.
	Queries atomic.Int64
}

const (
	defaultMaxText = 16 << 20
	defaultMaxHeld = 160 << 20
)

// Run carries a session until either side ends it, ctx is done or Config.Drain is. It closes both
// connections and calls pair.Done. The error is nil where the session ended in order.
func Run(ctx context.Context, pair *login.Pair, cfg *Config) error {
	s := newSession(ctx, pair, cfg)
	defer s.close()
	return s.run()
}
