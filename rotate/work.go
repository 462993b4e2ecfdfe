package rotate

import (
	"context"

	"github.com/rowseal/rowseal/codec"
)

// work is what a kind of job does to rows. One work is used by one worker at a time.
type work interface {
	// reads says what pages bring.
	reads() reads
	// plan says what is to become of each row, in the rows' order. It is called again, in the page's
	// transaction, for rows that somebody changed between reading and writing.
	// Its error stops the page, which is tried again where waiting may help (a KMS that is away);
	// what is wrong with single values is in the outcomes.
	plan(ctx context.Context, rows []row) ([]verdict, error)
}

// forker is a work that makes those of other workers, to share with them what it has learned. The others'
// are made by newWork.
type forker interface{ fork() work }

// reads is what a page is read with.
type reads struct {
	// sealed are columns that hold sealed values.
	sealed []string
	// plain are columns of the logical types in clear.
	plain []plainColumn
	// beside are columns that are read only, as the database prints them:
	// tenant and row id.
	beside []string
	// tenant, where column is not "", narrows the walk to rows whose column is value.
	tenant struct{ column, value string }
	// writes says that outcomes may have changes; a job without writes needs no
	// transaction for its pages and no row lock.
	writes bool
	// fills says that one of two columns in transition is written alone, without news, which the trigger that Move
	// makes would take for some.
	fills bool
}

// plainColumn is a column that holds values in clear.
type plainColumn struct {
	name string
	typ  codec.Type
}
