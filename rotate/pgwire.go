package rotate

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rowseal/rowseal/field"
)

// pgWire is a worker's connection whose pages travel as PostgreSQL's protocol has them: rows are read into memory that
// the next page uses again, and arrays are written as they are sent. By database/sql and pgx's types each field of each
// row would be a value of its own.
//
// It is for pools whose driver is pgx itself, in the mode that it has by default: other modes are for poolers that keep
// no prepared statements, and go by database/sql.
type pgWire struct {
	*sql.Conn
	prepared []string // statements, to be let go of

	// The statement at hand.
	message []byte
	ends    []int // of the parameters in message
	params  [][]byte
	room    room

	// The page at hand.
	bytes  []byte // of values
	values [][]byte
	keys   []any
	plain  []any
	beside []*string
	rows   []row
}

// pgWireTx is a page's transaction on the connection.
type pgWireTx struct {
	*sql.Tx
	wire *pgWire
}

// binaryFormat asks for all columns of a result, and says of a parameter, that it is in binary.
var binaryFormat = []int16{pgx.BinaryFormatCode}

// wireOn returns nil where c is not pgx's, or not to be used like this.
func wireOn(c *sql.Conn) *pgWire {
	fits := false
	err := c.Raw(func(driver any) error {
		d, ok := driver.(*stdlib.Conn)
		fits = ok && d.Conn().Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement
		return nil
	})
	if err != nil || !fits {
		return nil
	}
	return &pgWire{Conn: c, bytes: []byte{}} // of which a part without length is not nil
}

// close gives the connection back as it was.
func (w *pgWire) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.Raw(func(driver any) (err error) { // of a connection that broke nothing is left
		for _, query := range w.prepared {
			err = errors.Join(err, driver.(*stdlib.Conn).Conn().Deallocate(ctx, query))
		}
		return err
	})
	closeConn(w.Conn)
}

// query runs a statement whose parameters are of appendBinary's types, and calls each with every row of its result, whose
// fields are in binary and gone afterwards.
func (w *pgWire) query(ctx context.Context, query string, args []any, each func(fields [][]byte) error) error {
	if err := w.encode(args); err != nil {
		return err
	}
	return w.Raw(func(driver any) error {
		c := driver.(*stdlib.Conn).Conn() // wireOn saw to it
		known, err := c.Prepare(ctx, query, query)
		if err != nil {
			return err
		}
		if !slices.Contains(w.prepared, query) {
			w.prepared = append(w.prepared, query)
		}
		c.PgConn().Frontend().Send(&w.room)
		result := c.PgConn().ExecStatement(ctx, known, w.params, binaryFormat, binaryFormat)
		for err == nil && result.NextRow() {
			err = each(result.Values())
		}
		_, failed := result.Close()
		return errors.Join(err, failed)
	})
}

// encode sets the parameters of a statement.
func (w *pgWire) encode(args []any) error {
	w.message, w.ends = w.message[:0], w.ends[:0]
	w.params = w.params[:0]
	for _, a := range args {
		var ok bool
		if w.message, ok = appendBinary(w.message, a); !ok {
			return fmt.Errorf("rowseal: internal error: %T is no parameter", a)
		}
		w.ends = append(w.ends, len(w.message))
	}
	from := 0
	for _, end := range w.ends {
		w.params, from = append(w.params, w.message[from:end:end]), end
	}
	w.room.need = len(w.message) + 16*len(args) + 1<<10 // beside the parameters their lengths, and short messages
	return nil
}

// room is a message of no bytes that gives those behind it memory to be written in, which is used again for the next ones:
// pgx lets its own grow from nothing for each.
type room struct {
	bytes []byte
	need  int
}

// Encode begins the connection's next messages in r's memory.
func (r *room) Encode(dst []byte) ([]byte, error) {
	if cap(r.bytes) < len(dst)+r.need {
		r.bytes = make([]byte, 0, len(dst)+r.need+r.need/8)
	}
	return append(r.bytes[:0], dst...), nil
}

// Decode and Frontend make r a message.
func (*room) Decode([]byte) error { return errors.ErrUnsupported }

// Frontend says who sends it.
func (*room) Frontend() {}

// page forgets the rows of the page before.
func (w *pgWire) page() {
	w.bytes, w.values, w.keys, w.plain = w.bytes[:0], w.values[:0], w.keys[:0], w.plain[:0]
	w.beside, w.rows = w.beside[:0], w.rows[:0]
}

// read appends the rows of a query of t's columns, see pgSelect, to the page, and returns them. They are good until the
// next page.
func (w *pgWire) read(ctx context.Context, t *target, query string, args []any) ([]row, error) {
	from := len(w.rows)
	err := w.query(ctx, query, args, func(fields [][]byte) error {
		r := row{values: tail(&w.values, len(t.sealed)), key: tail(&w.keys, len(t.key)), plain: tail(&w.plain, len(t.plain)), beside: tail(&w.beside, len(t.beside))}
		at := 0
		next := func() []byte { at++; return fields[at-1] }
		for i, k := range t.key {
			f := next()
			switch {
			case !k.bits:
				r.key[i] = string(f)
			case len(f) == 8:
				r.key[i] = int64(binary.BigEndian.Uint64(f))
			default:
				return fmt.Errorf("rowseal: internal error: key %s has %d bytes", k.name, len(f))
			}
		}
		for i := range r.values {
			r.values[i] = w.keep(next())
		}
		for i := range r.plain {
			if f := next(); f != nil {
				r.plain[i] = field.Binary(w.keep(f))
			}
		}
		for i := range r.beside {
			if f := next(); f != nil {
				s := string(f)
				r.beside[i] = &s
			}
		}
		w.rows = append(w.rows, r)
		return nil
	})
	return w.rows[from:], err
}

// keep copies a field to the page's memory; NULL is nil.
func (w *pgWire) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	from := len(w.bytes)
	w.bytes = append(w.bytes, b...)
	return w.bytes[from:len(w.bytes):len(w.bytes)]
}

// tail makes s longer by n empty elements and returns these; nil for none.
func tail[T any](s *[]T, n int) []T {
	if n == 0 {
		return nil
	}
	var empty T
	for range n {
		*s = append(*s, empty)
	}
	return (*s)[len(*s)-n : len(*s) : len(*s)]
}

// Object ids of PostgreSQL's types, of which arrays say what they hold.
const (
	oidBool  = pgtype.BoolOID
	oidBytea = pgtype.ByteaOID
	oidInt8  = pgtype.Int8OID
	oidText  = pgtype.TextOID
)

// appendBinary appends a parameter in PostgreSQL's binary form; false for a type that statements do not have.
func appendBinary(dst []byte, v any) (_ []byte, ok bool) {
	switch v := v.(type) {
	case int:
		return binary.BigEndian.AppendUint64(dst, uint64(v)), true
	case int64:
		return binary.BigEndian.AppendUint64(dst, uint64(v)), true
	case string:
		return append(dst, v...), true
	case pgtype.FlatArray[int64]:
		dst = appendArray(dst, oidInt8, len(v))
		for _, n := range v {
			dst = binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 8), uint64(n))
		}
	case pgtype.FlatArray[bool]:
		dst = appendArray(dst, oidBool, len(v))
		for _, b := range v {
			is := byte(0)
			if b {
				is = 1
			}
			dst = append(dst, 0, 0, 0, 1, is)
		}
	case pgtype.FlatArray[string]:
		dst = appendArray(dst, oidText, len(v))
		for _, s := range v {
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
		}
	case pgtype.FlatArray[*string]:
		dst = appendArray(dst, oidText, len(v))
		for _, s := range v {
			if s == nil {
				dst = append(dst, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(*s))), *s...)
		}
	case pgtype.FlatArray[[]byte]:
		dst = appendArray(dst, oidBytea, len(v))
		for _, b := range v {
			if b == nil {
				dst = append(dst, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
		}
	default:
		return dst, false
	}
	return dst, true
}

// appendArray begins an array of n elements, see array_recv: the number of dimensions, whether there are NULLs (which
// the server finds out by itself), the type; of the dimension its length and the first index.
func appendArray(dst []byte, oid uint32, n int) []byte {
	for _, x := range [...]uint32{1, 1, oid, uint32(n), 1} {
		dst = binary.BigEndian.AppendUint32(dst, x)
	}
	return dst
}
