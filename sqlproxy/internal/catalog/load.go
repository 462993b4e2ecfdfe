package catalog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
)

// classes of objects as pg_depend numbers them.
const (
	classType     = 1247
	classFunction = 1255
	classRelation = 1259
)

// loader holds what is needed while a Snapshot is made.
type loader struct {
	*Snapshot
	ctx    context.Context
	q      Querier
	policy *field.Policy
	// converted is what the session's own encoding makes it ask for; see inUTF8.
	converted string
	rowTypes  map[uint32]uint32 // type of a row, or of an array of rows, to its relation
	typeNames map[uint32]string
	bodies    map[*Function]string
	byID      map[uint32]*Function
	uses      []use
	guarded   []guarded
}

// guarded is a column of a relation, by its number.
type guarded struct {
	relation *Relation
	column   string
}

// use says that a view or function names an object.
type use struct {
	class, oid       uint32
	refClass, refOID uint32
}

// Load reads the catalog of the session's database, as the session sees it,
// temporary tables included. For a policy without tables it asks nothing.
func Load(ctx context.Context, q Querier, policy *field.Policy) (*Snapshot, error) {
	l := &loader{
		Snapshot: newSnapshot(), ctx: ctx, q: q, policy: policy, rowTypes: map[uint32]uint32{},
		typeNames: map[uint32]string{}, bodies: map[*Function]string{}, byID: map[uint32]*Function{},
	}
	if policy == nil || len(policy.Tables()) == 0 {
		return l.Snapshot, nil
	}
	if err := checkNames(policy); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		l.facts, l.loadRelations, l.loadColumns, l.loadUnique, l.loadTaken, l.loadInherits, l.loadGuards,
		l.loadTypes, l.loadFunctions, l.loadSetters, l.loadUses,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("read the catalog: %w", err)
		}
	}
	l.seal()
	l.sealRows()
	l.spread()
	if err := l.loadViews(); err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	for name := range l.names {
		if n := len(name); n > 0 && n <= maxName {
			l.shapes[n] |= shapeOf(name[0])
		}
	}
	return l.Snapshot, nil
}

func newSnapshot() *Snapshot {
	return &Snapshot{
		relations: map[qualified]*Relation{}, taken: map[qualified]bool{}, byOID: map[uint32]*Relation{}, functions: map[string][]*Function{},
		types: map[qualified]uint32{}, arrays: map[uint32]uint32{}, elements: map[uint32]uint32{}, bases: map[uint32]uint32{},
		names: map[string]parse.Kind{},
	}
}

// row is a row of an answer. Its methods note an answer that is not what was asked for.
type row struct {
	cells   [][]byte
	encoded bool // what inUTF8 marks is in hexadecimal digits
	err     *error
}

func (r row) text(i int) string {
	if i >= len(r.cells) {
		*r.err = errors.New("the server's answer lacks a column")
		return ""
	}
	return string(r.cells[i])
}

// name gives a cell that inUTF8 marks.
func (r row) name(i int) string {
	text := r.text(i)
	if !r.encoded {
		return text
	}
	name, err := hex.DecodeString(text)
	if err != nil {
		*r.err = fmt.Errorf("the server's answer holds no bytes in column %d", i+1)
	}
	return string(name)
}

func (r row) oid(i int) uint32 {
	n, err := strconv.ParseUint(r.text(i), 10, 32)
	if err != nil {
		*r.err = fmt.Errorf("the server's answer holds no OID in column %d", i+1)
	}
	return uint32(n)
}

func (r row) integer(i, bits int) int64 {
	n, err := strconv.ParseInt(r.text(i), 10, bits)
	if err != nil {
		*r.err = fmt.Errorf("the server's answer holds no number in column %d", i+1)
	}
	return n
}

func (r row) yes(i int) bool { return r.text(i) == "t" }

func (r row) letter(i int) byte {
	text := r.text(i)
	if text == "" {
		return 0
	}
	return text[0]
}

// each gives each row of a query's answer to take.
func (l *loader) each(sql string, take func(row)) error {
	rows, err := l.q.Query(l.ctx, inUTF8(sql, l.converted))
	if err != nil {
		return err
	}
	var wrong error
	for _, cells := range rows {
		take(row{cells, l.converted != "", &wrong})
	}
	return wrong
}

func (l *loader) facts() error {
	err := l.each(queryFacts, func(r row) {
		l.server, l.narrow = r.text(0), r.text(0) != "UTF8"
		l.converted = conversion(r.text(0), r.text(1))
		l.temp = r.text(2)
	})
	if err != nil {
		return err
	}
	return l.each(queryPath, func(r row) { l.Path = append(l.Path, r.name(0)) })
}

// conversion gives what the catalog is to be asked for in; "" where the session gets it in the bytes that all
// others have: a snapshot is shared, and names are looked up in it as they are in texts.
func conversion(server, client string) string {
	switch {
	case server == "SQL_ASCII" && client != "SQL_ASCII":
		return "SQL_ASCII"
	case server == "SQL_ASCII", parse.CodingOf(client, server) == parse.UTF8:
		return ""
	}
	return "UTF8"
}

func (l *loader) loadRelations() error {
	schemas := map[string]string{} // one string for each schema
	return l.each(queryRelations, func(r row) {
		schema, ok := schemas[r.name(1)]
		if !ok {
			schema = r.name(1)
			schemas[schema] = schema
		}
		rel := &Relation{OID: r.oid(0), Schema: schema, Name: r.name(2), Kind: r.letter(3), Temporary: r.letter(4) == 't', Triggers: r.yes(5)}
		l.byOID[rel.OID] = rel
		l.relations[qualified{schema, rel.Name}] = rel
	})
}

func (l *loader) loadColumns() error {
	names := map[string]string{} // columns of many tables have one name
	return l.each(queryColumns, func(r row) {
		rel := l.byOID[r.oid(0)]
		if rel == nil {
			return // made since the relations were read
		}
		name, ok := names[string(r.cells[1])]
		if !ok {
			name = r.name(1)
			names[string(r.cells[1])] = name
		}
		rel.Columns = append(rel.Columns, Column{
			Name: name, Num: int16(r.integer(2, 16)), Type: r.oid(3), Typmod: int32(r.integer(4, 32)),
			NotNull: r.yes(5), HasDefault: r.yes(6), Generated: r.yes(7), Identity: r.yes(8),
			Loose: r.yes(9),
		})
	})
}

func (l *loader) loadTaken() error {
	return l.each(queryTaken, func(r row) { l.taken[qualified{r.name(0), r.name(1)}] = true })
}

func (l *loader) loadUnique() error {
	return l.each(queryUnique, func(r row) {
		rel := l.byOID[r.oid(0)]
		if rel == nil {
			return
		}
		var columns []int16
		for _, n := range strings.Fields(r.text(2)) {
			number, err := strconv.ParseInt(n, 10, 16)
			if err != nil {
				*r.err = errors.New("the server's answer holds no column numbers")
			}
			columns = append(columns, int16(number))
		}
		if keys := int(r.integer(1, 16)); keys < len(columns) {
			columns = columns[:keys] // the others are INCLUDE's
		}
		rel.Unique = append(rel.Unique, columns)
	})
}

func (l *loader) loadInherits() error {
	return l.each(queryInherits, func(r row) {
		child, parent := l.byOID[r.oid(0)], l.byOID[r.oid(1)]
		if child == nil || parent == nil {
			return // indexes of partitions inherit too
		}
		child.Parents = append(child.Parents, parent)
		parent.Children = append(parent.Children, child)
	})
}

// loadGuards notes guarded columns. A guard is a condition on one column.
func (l *loader) loadGuards() error {
	return l.each(queryGuards, func(r row) {
		if rel, key := l.byOID[r.oid(0)], r.text(1); rel != nil {
			l.guarded = append(l.guarded, guarded{rel, strings.Trim(key, "{}")})
		}
	})
}

func (l *loader) loadTypes() error {
	return l.each(queryTypes, func(r row) {
		oid, name := r.oid(0), qualified{r.name(1), r.name(2)}
		l.types[name] = oid
		l.typeNames[oid] = name.name
		if r.letter(3) == 'd' {
			l.bases[oid] = r.oid(4)
		}
		array := r.oid(6)
		if array != 0 {
			l.arrays[oid] = array
		}
		if relation := r.oid(5); relation != 0 {
			l.rowTypes[oid], l.rowTypes[array] = relation, relation
		}
		if element := r.oid(7); element != 0 && r.letter(8) == 'A' {
			l.elements[oid] = element
		}
	})
}

func (l *loader) loadFunctions() error {
	return l.each(queryFunctions, func(r row) {
		f := &Function{OID: r.oid(0), Schema: r.name(1), Name: r.name(2), Set: r.yes(7)}
		f.Returns = l.byOID[l.rowTypes[r.oid(3)]]
		l.functions[f.Name] = append(l.functions[f.Name], f)
		l.byID[f.OID] = f
		if r.yes(4) {
			// C code is taken not to change settings.
			l.names[f.Name] |= parse.NamesFunction
			l.bodies[f] = r.name(5)
			l.code |= codeOf(r.name(6), l.bodies[f])
			if f.Returns != nil && r.name(6) == "sql" && r.yes(8) {
				f.Query = l.bodies[f]
			}
		}
	})
}

func (l *loader) loadUses() error {
	return l.each(queryDepends, func(r row) {
		u := use{r.oid(0), r.oid(1), r.oid(2), r.oid(3)}
		if u.refClass == classType {
			if u.refClass, u.refOID = classRelation, l.rowTypes[u.refOID]; u.refOID == 0 {
				return
			}
		}
		l.uses = append(l.uses, u)
	})
}

// loadViews reads what sensitive views are made of.
func (l *loader) loadViews() error {
	var oids []string
	for _, r := range l.byOID {
		if r.Sensitive && (r.Kind == 'v' || r.Kind == 'm') {
			oids = append(oids, strconv.FormatUint(uint64(r.OID), 10))
		}
	}
	if len(oids) == 0 {
		return nil
	}
	return l.each(fmt.Sprintf(queryViews, strings.Join(oids, ",")), func(r row) {
		if rel := l.byOID[r.oid(0)]; rel != nil {
			rel.Definition = strings.TrimSuffix(strings.TrimSpace(r.name(1)), ";")
			if rel.Definition == "" {
				rel.Wrong = "the view " + rel.String() + " is being changed; try again"
			}
		}
	})
}
