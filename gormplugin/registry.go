package gormplugin

import (
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
)

// registry holds the models that the plugin has met, by schema and by table.
// GORM shares its schemas between goroutines without a lock, so that nothing
// of the plugin's is kept in them.
type registry struct {
	bySchema sync.Map // *schema.Schema -> *registered
	size     atomic.Uint64

	unread sync.Map // reflect.Type -> true, of structs that GORM cannot parse

	mu      sync.RWMutex
	byTable map[string][]*model // with sealed columns, by name in lower case
	byID    map[envelope.ColumnID]*field.Column
}

type registered struct {
	once  sync.Once
	model *model
	err   error

	linked sync.Once // registers what the model is associated with
}

// model returns the model of s, reading its tags at the first call. When it
// returns, the models that s is associated with are registered too, because
// statements name their tables.
func (r *registry) model(s *schema.Schema, tenant string) (*model, error) {
	e := r.one(s, tenant)
	if e.err == nil {
		e.linked.Do(func() { r.associated(s, tenant) })
	}
	return e.model, e.err
}

// one registers the model of s alone.
func (r *registry) one(s *schema.Schema, tenant string) *registered {
	v, ok := r.bySchema.Load(s)
	if !ok {
		v, _ = r.bySchema.LoadOrStore(s, new(registered))
	}
	e := v.(*registered)
	e.once.Do(func() {
		if e.model, e.err = newModel(s, tenant); e.err == nil && e.model.seals() {
			r.add(e.model)
		}
	})
	return e
}

// associated registers all that can be reached from s. It waits for no other
// goroutine that does so: two may begin at either end.
func (r *registry) associated(s *schema.Schema, tenant string) {
	seen := map[*schema.Schema]bool{s: true}
	for next := []*schema.Schema{s}; len(next) > 0; next = next[1:] {
		for _, found := range neighbours(next[0]) {
			if !seen[found] {
				seen[found] = true
				next = append(next, found)
				r.one(found, tenant) // its error comes back when a statement is about that model
			}
		}
	}
}

// neighbours returns the schemas that s has associations with. GORM may still
// be adding to those of a schema that it met by another.
func neighbours(s *schema.Schema) (found []*schema.Schema) {
	s.Relationships.Mux.RLock()
	defer s.Relationships.Mux.RUnlock()
	for _, rel := range s.Relationships.Relations {
		for _, to := range []*schema.Schema{rel.FieldSchema, rel.JoinTable} {
			if to != nil {
				found = append(found, to)
			}
		}
	}
	return found
}

func (r *registry) add(m *model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTable == nil {
		r.byTable, r.byID = map[string][]*model{}, map[envelope.ColumnID]*field.Column{}
	}
	for _, name := range tableNames(m.schema.Table) {
		r.byTable[name] = append(r.byTable[name], m)
	}
	for _, c := range m.table.Columns() {
		r.byID[c.Field().ID()] = c
	}
	r.size.Add(1)
}

// tableNames returns the names that a statement may use for a table.
func tableNames(table string) []string {
	table = strings.ToLower(table)
	if dot := strings.LastIndexByte(table, '.'); dot >= 0 {
		return []string{table, table[dot+1:]}
	}
	return []string{table}
}

// tables returns the models with sealed columns of a table, which may be
// schema-qualified. A name in another schema than the model's finds it all the
// same: a search path may make it so.
func (r *registry) tables(name string) []*model {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, n := range tableNames(name) {
		if found := r.byTable[n]; len(found) > 0 {
			return found
		}
	}
	return nil
}

// parsed returns the schema of a destination that is no model; nil where GORM
// cannot parse it. GORM logs every failure, and keeps none: it is asked once.
func (r *registry) parsed(stmt *gorm.Statement, t reflect.Type) *schema.Schema {
	if _, failed := r.unread.Load(t); failed {
		return nil
	}
	other := &gorm.Statement{DB: stmt.DB}
	if err := other.Parse(reflect.New(t).Interface()); err != nil {
		r.unread.Store(t, true)
		return nil
	}
	return other.Schema
}

// sealed returns the column that sealed bytes with that id belong to, or nil.
func (r *registry) sealed(id envelope.ColumnID) *field.Column {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

// of returns the model that a statement is about; nil where that has no sealed
// columns.
func (p *Plugin) of(stmt *gorm.Statement) (*model, error) {
	if stmt.Schema == nil {
		if found := p.models.tables(stmt.Table); stmt.Table != "" && len(found) > 0 {
			return found[0], nil
		}
		return nil, nil
	}
	m, err := p.models.model(stmt.Schema, p.defaultTenant())
	if err != nil || !m.seals() {
		return nil, err
	}
	return m, nil
}
