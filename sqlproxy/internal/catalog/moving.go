package catalog

import (
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/field"
)

// oldSuffix ends the name that a plain column has once the sealed one stands in its place.
const oldSuffix = "_rowseal_old"

// sealMoving finds out how far the transition of a column is in a relation, which shows in the relation's columns alone:
// before it there is the plain column, during it there are both, and after it the sealed one has the plain one's name.
func (l *loader) sealMoving(r *Relation, sealed *field.Column) {
	plain, own := r.Column(sealed.Transition().Plain), r.Column(sealed.Name())
	switch {
	case plain == nil && own == nil:
		// The table has neither: there is nothing to keep from anybody.
	case plain == nil:
		own.Sealed = sealed
		own.Wrong = fmt.Sprintf("column %v.%s is in transition from %s, which the table does not have; "+
			"take `transition` out of the policy where it is done, or mend the name", r, own.Name, sealed.Transition().Plain)
	case own != nil:
		l.sealBoth(r, sealed, plain, own)
	case l.BaseOf(plain.Type) != pgtype.ByteaOID:
		plain.Wrong = l.notMovable(r, sealed, plain)
	case sealed.Type().OID() == pgtype.ByteaOID && !l.isGuarded(r, plain):
		plain.Sealed = sealed
		plain.Wrong = fmt.Sprintf("column %v.%s may be plain or sealed: it has no guard, and both are bytea; "+
			"add the column %s where the transition begins, or run rowseal init where it is done", r, plain.Name, sealed.Name())
	default:
		plain.Sealed = sealed
		l.checkSealed(r, plain)
		if old := r.Column(plain.Name + oldSuffix); old != nil {
			old.Hidden = true
		}
	}
}

// sealBoth is sealMoving for a relation that has both columns: clients see the plain one, with the values of both.
func (l *loader) sealBoth(r *Relation, sealed *field.Column, plain, own *Column) {
	own.Sealed, own.Hidden, plain.Moving = sealed, true, sealed
	l.checkSealed(r, own)
	plain.Wrong = own.Wrong
	switch {
	case plain.Wrong != "":
	case own.HasDefault || own.NotNull:
		plain.Wrong = fmt.Sprintf("column %v.%s has a default or is NOT NULL, and is to be NULL where a row is not sealed yet; drop that", r, own.Name)
	case plain.NotNull && !sealed.Transition().Both:
		plain.Wrong = fmt.Sprintf("column %v.%s is NOT NULL, and becomes NULL where %s is written; drop that, or say `write: both`",
			r, plain.Name, own.Name)
	default:
		plain.Wrong = l.notMovable(r, sealed, plain)
	}
}

// notMovable says why a plain column's values are not those of the logical type; "" where they are.
func (l *loader) notMovable(r *Relation, sealed *field.Column, plain *Column) string {
	switch t := sealed.Type(); {
	case plain.Type != t.OID() || plain.Typmod != t.Modifier():
		return fmt.Sprintf("column %v.%s is of type %s in the database, and %s, which takes over from it, of type %s, modifier and all; "+
			"make them one type", r, plain.Name, l.typeNames[plain.Type], sealed.Name(), t)
	case plain.Generated || plain.Identity:
		return fmt.Sprintf("column %v.%s is computed by the database, which holds no keys; drop the expression", r, plain.Name)
	}
	return ""
}

// isGuarded reports whether a column has a guard of Rowseal's.
func (l *loader) isGuarded(r *Relation, c *Column) bool {
	for _, g := range l.guarded {
		if g.relation == r && g.column == strconv.Itoa(int(c.Num)) {
			return true
		}
	}
	return false
}

// checkSealed notes why a column cannot hold sealed values.
func (l *loader) checkSealed(r *Relation, c *Column) {
	switch base := l.BaseOf(c.Type); {
	case base != pgtype.ByteaOID:
		c.Wrong = fmt.Sprintf("column %v.%s is of type %s in the database, not bytea, and cannot hold sealed values; make it bytea, "+
			"or add a bytea column with a transition, and run rowseal init", r, c.Name, l.typeNames[c.Type])
	case c.Generated || c.Identity:
		c.Wrong = fmt.Sprintf("column %v.%s is computed by the database, which holds no keys; drop the expression and run rowseal init", r, c.Name)
	}
}
