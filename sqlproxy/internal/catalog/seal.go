package catalog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// NameOf gives the schema and the name of a policy's table. A name without
// schema is in public.
func NameOf(t *field.Table) (schema, name string) {
	schema, name, ok := strings.Cut(t.Name(), ".")
	if !ok {
		return "public", t.Name()
	}
	return schema, name
}

// checkNames refuses names that PostgreSQL would cut, so that they would be found nowhere.
func checkNames(policy *field.Policy) error {
	for _, t := range policy.Tables() {
		schema, name := NameOf(t)
		if max(len(schema), len(name)) > maxName {
			return fmt.Errorf("table %s: PostgreSQL cuts names to %d bytes; write in the policy what it is called there", t.Name(), maxName)
		}
		for _, c := range t.Columns() {
			if len(c.Name()) > maxName {
				return fmt.Errorf("column %v: PostgreSQL cuts names to %d bytes; write in the policy what it is called there", c, maxName)
			}
		}
	}
	return nil
}

// seal finds the tables of the policy.
func (l *loader) seal() {
	for _, t := range l.policy.Tables() {
		schema, name := NameOf(t)
		l.names[name] |= parse.NamesSealed
		if r := l.relations[qualified{schema, name}]; r != nil {
			l.sealRelation(r, t)
		}
	}
	for _, t := range l.policy.Tables() {
		schema, name := NameOf(t)
		if r := l.relations[qualified{schema, name}]; r != nil {
			l.inherit(r, t)
			l.warnParents(r)
		}
	}
	l.warnGuarded()
}

func (l *loader) sealRelation(r *Relation, t *field.Table) {
	r.Table, r.Sensitive = t, true
	switch r.Kind {
	case 'v', 'm', 'S':
		r.Wrong = fmt.Sprintf("%v is no table; declare the table that it is made of in the policy instead", r)
	}
	l.checkOwners(r, t)
	for _, sealed := range t.Columns() {
		if sealed.Transition().Plain != "" {
			l.sealMoving(r, sealed)
		} else if c := r.Column(sealed.Name()); c != nil {
			c.Sealed = sealed
			l.checkSealed(r, c)
		}
	}
}

// inherit gives a table's policy to its partitions and children.
func (l *loader) inherit(r *Relation, t *field.Table) {
	for _, child := range r.Children {
		switch child.Table {
		case t:
			continue
		case nil:
			l.sealRelation(child, t)
			l.inherit(child, t)
		default:
			child.Wrong = fmt.Sprintf("%v is part of %v and has another declaration in the policy; remove one of them", child, r)
		}
	}
}

// warnGuarded marks columns that hold sealed values and are not in the policy, as those of a partition that
// was detached: in what is written to them as to plain ones, the server and its log would see plaintext.
func (l *loader) warnGuarded() {
	for _, g := range l.guarded {
		for i := range g.relation.Columns {
			c := &g.relation.Columns[i]
			if c.Sealed != nil || strconv.Itoa(int(c.Num)) != g.column {
				continue
			}
			g.relation.Sensitive = true
			c.Wrong = fmt.Sprintf("column %v.%s takes sealed values only, and the policy does not list it; list it with the ids that "+
				"its values were sealed with, or drop the constraint rowseal_… from the table", g.relation, c.Name)
		}
	}
}

// warnParents marks tables that are not sealed and have a child that is: reading
// or writing them would pass its rows by the policy.
func (l *loader) warnParents(r *Relation) {
	for _, parent := range r.Parents {
		if parent.Table != nil || parent.Wrong != "" {
			continue
		}
		parent.Sensitive = true
		parent.Wrong = fmt.Sprintf("%v has the rows of %v, which is sealed; declare %v in the policy instead", parent, r, parent)
		l.warnParents(parent)
	}
}

// sealRows marks columns whose values are rows of a sealed table.
func (l *loader) sealRows() {
	for _, r := range l.byOID {
		for i := range r.Columns {
			c := &r.Columns[i]
			of := l.byOID[l.rowTypes[l.BaseOf(c.Type)]]
			if of == nil || of.Table == nil {
				continue
			}
			r.Sensitive = true
			c.Wrong = fmt.Sprintf("column %v.%s holds rows of %v, which is sealed; give it columns of its own instead", r, c.Name, of)
		}
	}
}

// spread marks views and functions that are made of something sensitive, until
// nothing is added.
func (l *loader) spread() {
	for _, r := range l.byOID {
		if r.Sensitive {
			l.names[r.Name] |= parse.NamesSealed
		}
	}
	for l.spreadUses() || l.spreadBodies() {
	}
}

func (l *loader) spreadUses() (added bool) {
	for _, u := range l.uses {
		if !l.isSensitive(u.refClass, u.refOID) || l.isSensitive(u.class, u.oid) {
			continue
		}
		if r := l.byOID[u.oid]; u.class == classRelation && r != nil {
			r.Sensitive, added = true, true
			l.names[r.Name] |= parse.NamesSealed
		}
		if f := l.byID[u.oid]; u.class == classFunction && f != nil {
			l.mark(f)
			added = true
		}
	}
	return added
}

func (l *loader) isSensitive(class, oid uint32) bool {
	if class == classFunction {
		f := l.byID[oid]
		return f != nil && f.Sensitive
	}
	r := l.byOID[oid]
	return r != nil && r.Sensitive
}

func (l *loader) spreadBodies() (added bool) {
	sealed := func(word []byte) bool { return l.names[string(word)]&parse.NamesSealed != 0 }
	for f, body := range l.bodies {
		if !f.Sensitive && (f.Returns != nil && f.Returns.Sensitive || parse.Mentions(body, sealed)) {
			l.mark(f)
			added = true
		}
	}
	return added
}

func (l *loader) mark(f *Function) {
	f.Sensitive = true
	l.names[f.Name] |= parse.NamesSealed
}
