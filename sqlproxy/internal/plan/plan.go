// Package plan turns the text of a statement into what the proxy does with it:
// which parameters and literals are sealed or become search terms, which bytes
// of the text are replaced, and which result columns may hold sealed values.
//
// [Analyze] is a pure function of a text, the types that the client declared,
// and what the session knows of the server. Whatever it does not understand
// about a text that touches something sealed is a [*Refusal], never a plan.
package plan

import (
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// Plan is what to do with one text, which may hold several statements. It does
// not change once made, and sessions share it.
type Plan struct {
	// Touches reports whether the text must be changed, or a result of it
	// opened. Where it does not, the client's bytes are forwarded.
	Touches bool
	// Stmts are the text's statements, in order.
	Stmts []Stmt
	// Pieces are the text for the server, in order. Empty where it is as it was.
	Pieces []Piece
	// Cells are the values that are sealed or become terms on their way down.
	Cells []Cell
	// Params are the server's parameters in order, $1 first. Nil where
	// parameters are as they were.
	Params []Param
	// NumParams is the highest number of a parameter that the text names.
	NumParams int
	// Logical holds for each of the client's parameters the type OID that
	// ParameterDescription shows in place of the server's; 0 shows the server's.
	Logical []uint32
	// Effects is what the text may change of the session's state.
	Effects parse.Effects
	// OfTenant is set where the text for the server names the tenant of the
	// Context, so that the plan is of no use for another.
	OfTenant bool
	// Hidden are the names of columns in transition that clients do not see and the text for the server
	// may have: once the transition is finished, the server does not know them any more.
	Hidden []string
}

// Stmt is one statement of a text.
type Stmt struct {
	// Kind says what the session must do besides forwarding.
	Kind Kind
	// Name is that of the prepared statement or cursor that the statement
	// makes or drops; "" for none, or for all with KindDeallocate and KindClose.
	Name string
	// Result are the result's columns as the analysis knows them. Nil where
	// nothing sealed can be in it.
	Result []Output
	// Inner is the plan of what PREPARE prepares, whose parameters EXECUTE fills.
	Inner *Plan
	// Copy describes COPY; nil for other statements.
	Copy *Copy
}

// Kind is a kind of statement.
type Kind byte

const (
	// KindOther needs nothing besides its plan.
	KindOther Kind = iota
	// KindPrepare is PREPARE Name; the session remembers Inner under it.
	KindPrepare
	// KindDeallocate is DEALLOCATE Name, or ALL.
	KindDeallocate
	// KindDeclare is DECLARE Name CURSOR; what fetches from it has its Result.
	KindDeclare
	// KindClose is CLOSE Name, or ALL.
	KindClose
)

// Output is a result column in which sealed values may stand.
type Output struct {
	// Possible are the sealed columns whose values the analysis proved may
	// stand there, all of one logical type; empty for a plain column.
	Possible []*field.Column
	// As is the OID of the type that the client is told, without a modifier, where it is not the
	// sealed column's own with its modifier: behind a cast, or where several values meet; 0 for that.
	As uint32
	// Clear is set where the values of a column in transition may stand there: one that begins with a zero byte, which no
	// sealed value does, is in clear, in its type's binary form behind that byte.
	Clear bool
	// TenantAt and RowIDAt are the result columns, counted from 0, that hold
	// the tenant and the bound row id of the same row of the same table; -1
	// where the result has none.
	TenantAt, RowIDAt int
}

// Piece is a part of the text for the server: of the client's text the bytes
// From to To, or Text, or the literal for Cells[Cell-1]. Exactly one is set.
type Piece struct {
	From, To int
	Text     string
	Cell     int
}

// Param is a parameter of the rewritten text.
type Param struct {
	// Client is the client's parameter, from 1, that gives the value as it is;
	// 0 where Cell gives it, or where nothing does and the server gets NULL.
	Client int
	// Cell is one more than the index in Cells of what gives the value; or 0.
	Cell int
	// OID is the type to declare to the server; 0 leaves what the client declared.
	OID uint32
}

// Action is what becomes of a value on its way down.
type Action byte

const (
	// Seal seals the value for Column: a bytea.
	Seal Action = iota
	// Term makes the value's equality term: a bytea of 16 bytes.
	Term
	// Terms makes the terms of an array's elements: a bytea[].
	Terms
	// Seals seals an array's elements for Column, each for a row of its own: a bytea[].
	Seals
)

// Cell is a value that is sealed, or becomes a term.
type Cell struct {
	Do     Action
	Column *field.Column
	// From gives the value.
	From Source
	// Tenant gives the tenant of the row, or of the rows that are looked for.
	// The zero Source is the session's, else the table's default.
	Tenant Source
	// RowID gives the id that the row's values are bound to; the zero Source
	// where the table binds to none.
	RowID Source
	// Row tells rows apart: cells of one Row are sealed together and may share a
	// row key. With Seals these are rows of elements that stand at one place. Only with Seal and Seals.
	Row int
}

// Source is where a value comes from: a parameter of the client's, a constant
// of the text, or neither.
type Source struct {
	// Param is the client's parameter, from 1.
	Param int
	// Const is a constant of the text.
	Const *Const
	// As is the type OID of the column that the value belongs to, for tenants and
	// row ids: '42' is a number where that is one. 0 where it is not known. Of a value
	// that is sealed it is the type that a text is cast to; 0 for no cast.
	As uint32
	// Type is the OID of the type that the server gives a parameter which the client leaves
	// open; 0 where it is that of As.
	Type uint32
	// Array is set where the source is an array of tenants or row ids, of which each is
	// that of the value at the same place of the array in From. Only with Seals.
	Array bool
	// Chars is that of the column that the tenant or row id belongs to; see catalog.Column.
	Chars int
	// Sought is set for a tenant or row id which a condition compares the column with: where it is
	// NULL, there is no such row.
	Sought bool
	// Own is set where the text casts the value to the column's own type, modifier and all: it is rounded, or what
	// is too long of it cut, ahead of all else. Only of a value that is sealed or becomes a term, and of an
	// array of such.
	Own bool
}

// IsZero reports whether the source is neither parameter nor constant.
func (s Source) IsZero() bool { return s.Param == 0 && s.Const == nil }

// isNull reports whether the source is the constant NULL.
func (s Source) isNull() bool { return s.Const != nil && s.Const.Null }

// Const is a constant of the text, as PostgreSQL read it.
type Const struct {
	// Text is the value in text form: a string without quotes and escapes, a
	// number as written, with its sign, true or false.
	Text string
	// OID is the type that the text gives it: 705 (unknown) for a plain string, 23, 20 or
	// 1700 for numbers, 16 for booleans, or the type of a cast.
	OID uint32
	// Null is set for NULL.
	Null bool
}

// Copy describes a COPY of a table or a query with sealed columns.
type Copy struct {
	// In is set for COPY FROM STDIN, unset for COPY TO STDOUT.
	In bool
	// Format is "text", "csv" or "binary".
	Format string
	// Delimiter, Null, Quote and Escape are those in force, defaults filled in.
	Delimiter, Quote, Escape byte
	Null                     string
	// Default is the DEFAULT string of COPY FROM; "" for none.
	Default string
	// Header says that the first line is one.
	Header bool
	// ForceQuote, ForceNotNull and ForceNull are by column; nil for none.
	ForceQuote, ForceNotNull, ForceNull []bool
	// Columns has one entry for each column of the data, plain ones included.
	Columns []Output
	// Types are the type OIDs of these columns, logical ones for sealed columns.
	Types []uint32
	// Table is the table that COPY FROM writes; nil for COPY TO.
	Table *field.Table
	// TenantAt and RowIDAt say which column of the data holds the row's tenant
	// and bound id; -1 where none does. For COPY FROM.
	TenantAt, RowIDAt int
	// TenantChars and RowIDChars are the Chars of these columns; see [catalog.Column].
	TenantChars, RowIDChars int
}
