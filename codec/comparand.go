package codec

import "errors"

// Comparand appends the canonical form of v as the operand of a comparison with a column of type t. null tells that
// v is SQL NULL, which equals nothing; canonical is then dst as it was, as it is with an error.
//
// v is taken as [Type.Encode] takes it, and as PostgreSQL takes the parameter of "column = $1": for the column's type
// without its modifier. A text longer than a varchar(45) is not cut and not refused, 1.005 is not rounded to the
// scale of a numeric(10,2), and microseconds count for a timestamp(3): none of them equals what such a column holds.
// For an operand that is declared to be of another type of the same family (a float8 parameter and a float4 column),
// use that type's Comparand.
//
// Numbers are compared exactly. One that no value of the family can equal (2^63 or 1.5 where the column holds
// integers) is no error: its form is the family byte alone, which no stored value has.
//
// A Go value of a kind that t cannot take, and text that cannot be read as t, are an *Error, which names types and
// never the value. So is a type without equality.
func (t Type) Comparand(dst []byte, v any) (canonical []byte, null bool, err error) {
	if !t.HasEquality() {
		return dst, false, newError(t, goTypeName(v), opCompare, noEquality(t))
	}
	operand := t.unmodified()
	out, null, err := operand.Encode(dst, v)
	switch {
	case null:
		return dst, true, nil
	case err != nil && isOutOfRange(err):
		return append(dst, t.Family()), false, nil
	case err != nil:
		return dst, false, comparison(t, err)
	}
	// The canonical form goes behind the plain one and is then moved to its place: with room in dst for both,
	// this needs no other memory.
	full, err := operand.Canonical(out, out[len(dst):])
	if err != nil {
		return dst, false, comparison(t, err)
	}
	form := full[len(out):]
	canonical = append(full[:len(dst)], form...)
	clear(full[len(canonical):]) // the canonical form alone is what the caller knows to wipe
	return canonical, false, nil
}

// unmodified is t without modifiers, and the widest of the integers.
func (t Type) unmodified() Type {
	t.modified, t.size, t.scale = false, 0, 0
	if t.kind.family() == kindInt8 {
		t.kind = kindInt8
	}
	return t
}

// isOutOfRange says that a number was understood, but has no place in its type. Only numbers have this state.
func isOutOfRange(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.SQLState == stateRange
}

// comparison names the column's own type in an error about the unmodified one.
func comparison(t Type, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	return newError(t, e.GoType, opCompare, &fault{state: e.SQLState, reason: e.Reason})
}
