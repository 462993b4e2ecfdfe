package gormplugin

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"

	"gorm.io/gorm/logger"

	"github.com/rowseal/rowseal/field"
)

// remedyTenant is for conditions on a column whose index keys are a tenant's.
const remedyTenant = "equal values of two tenants have different terms: fix the tenant in the condition, in Model or with gormplugin.WithTenant, or declare scope=global at the column"

// pending is a parameter of a sub-query: what it is compared with is seen when
// the whole statement is. Until then nothing encodes or prints it.
type pending struct {
	mute

	value any
	from  *origin // the sub-query whose own parameter it is; nil for the outer one's
}

// origin is what a sub-query says of the tenant that it is about.
type origin struct {
	model any
	ctx   context.Context
}

var _ driver.Valuer = pending{}

// Value refuses: a driver that asks has got a sub-query by itself.
func (pending) Value() (driver.Value, error) {
	return nil, fmt.Errorf("rowseal: a sub-query was sent by itself, or to another database: %w", ErrNotRegistered)
}

// subquery says whether GORM builds the statement as a part of another: it
// does so in a dry run without a log.
func (s *scope) subquery() bool { return s.stmt.DryRun && s.stmt.Logger == logger.Discard }

// suspend hides the parameters of a sub-query from logs and drivers. GORM puts
// those of the outer statement in front of its own.
func (s *scope) suspend() {
	d := dialectOf(s.stmt.Name())
	tokens, _ := lex(s.stmt.SQL.String(), d)
	own := map[int]bool{}
	for _, t := range tokens {
		if t.kind == tokenParam {
			own[t.param] = true
		}
	}
	before := len(s.stmt.Vars) - len(own)
	from := &origin{model: s.stmt.Model, ctx: s.stmt.Context}
	for i, v := range s.stmt.Vars {
		switch v.(type) {
		case *sealed, redacted, pending:
			continue
		}
		hiding := pending{value: v}
		if (d.dollars && own[i]) || (!d.dollars && i >= before) {
			hiding.from = from
		}
		s.stmt.Vars[i] = hiding
	}
}

// terms puts the terms of the values that are compared with sealed columns in
// their places in args. first is the place of the first parameter.
func (s *scope) terms(ctx context.Context, a *analysis, args []any, first int) error {
	for _, share := range a.shares {
		if !share.scope.byCondition() || (share.with != nil && !share.with.byCondition()) {
			return fenceError(share.column)
		}
		tenant, err := s.tenant(share.scope, args, first)
		if err == nil && share.with != nil {
			var other string
			if other, err = s.tenant(*share.with, args, first); err == nil && other != tenant {
				err = field.ErrTenantMismatch
			}
		}
		if err != nil {
			return conditionError(share.column, err)
		}
	}
	if len(a.operands) == 0 {
		return nil
	}
	terms := make([]field.Term, len(a.operands))
	for i, o := range a.operands {
		if o.fenced && !o.scope.byCondition() {
			return fenceError(o.column)
		}
		at := o.param + first
		if at >= len(args) {
			return conditionError(o.column, errors.New("the statement has fewer parameters than it names"))
		}
		v, err := comparand(o.column, args[at])
		if err != nil {
			return err
		}
		terms[i] = field.Term{Column: o.column, Value: v}
		if terms[i].Tenant, err = s.ownTenant(o, args, first); err != nil {
			return conditionError(o.column, err)
		}
	}
	if err := s.p.cipher.EqualityTerms(ctx, terms); err != nil {
		var e *field.Error
		if errors.As(err, &e) && errors.Is(err, field.ErrTenantUnknown) {
			return conditionError(a.operands[0].column, field.ErrTenantUnknown)
		}
		return err
	}
	for i, o := range a.operands {
		term := cell(terms[i].Bytes)
		args[o.param+first] = term
		if moving(o.column) {
			both, err := o.twice(ctx, terms[i], term)
			if err != nil {
				return err
			}
			args[o.param+first] = both
		}
	}
	return nil
}

func conditionError(c *field.Column, err error) error {
	var said *Error
	if errors.As(err, &said) {
		return err
	}
	e := &Error{Table: c.Table().Name(), Column: c.Name(), Err: err}
	if errors.Is(err, field.ErrTenantUnknown) || errors.Is(err, field.ErrTenantMismatch) {
		e.Remedy = remedyTenant
	}
	return e
}

// fenceError is for comparisons that look at the rows of all tenants.
func fenceError(c *field.Column) error {
	return &Error{
		Table: c.Table().Name(), Column: c.Name(), Err: field.ErrTenantUnknown,
		Remedy: fmt.Sprintf("equal values of two tenants have different terms, and this compares the rows of all tenants: "+
			"add the condition %s = ? to the query itself, or declare scope=global at the column", c.Table().Tenant().Column),
	}
}

// comparand returns the logical value that a sealed column is compared with.
func comparand(c *field.Column, v any) (any, error) {
	if inner, ok := unwrapLogical(v); ok {
		return inner, nil
	}
	if isSerializerValue(v) {
		return nil, nil
	}
	if isComputed(v) {
		return nil, &Error{Table: c.Table().Name(), Column: c.Name(), Err: ErrCondition, Remedy: "compare it with a value, not with an expression"}
	}
	return v, nil
}

// tenant returns the tenant that a condition is about: the one that it fixes,
// or the model's; "" leaves it to the context.
func (s *scope) tenant(t tenancy, args []any, first int) (string, error) {
	switch {
	case t.model == nil:
		return "", nil
	case t.text != "":
		return s.tenantText(t.model, t.text)
	case t.param >= 0 && t.param+first < len(args):
		v := args[t.param+first]
		if isComputed(v) {
			return "", field.ErrTenantUnknown
		}
		return s.tenantText(t.model, v)
	}
	if v := t.model.tenantOf(s.stmt.Model); v != nil {
		return field.TenantOf(v)
	}
	return field.TenantFrom(s.stmt.Context), nil
}

// tenantText returns the tenant that a condition's value names.
func (s *scope) tenantText(m *model, v any) (string, error) {
	own, err := m.identity(s.stmt.Context, m.tenant, v)
	if err != nil {
		return "", err
	}
	return field.TenantOf(own)
}

// ownTenant is tenant for an operand, which may stand in a sub-query: what that
// says of its tenant comes before what the statement around it says.
func (s *scope) ownTenant(o operand, args []any, first int) (string, error) {
	outer, err := s.tenant(o.scope, args, first)
	from := s.origins[o.param+first]
	if err != nil || from == nil || o.scope.byCondition() {
		return outer, err
	}
	own := field.TenantFrom(from.ctx)
	if v := o.scope.model.tenantOf(from.model); v != nil {
		if own, err = field.TenantOf(v); err != nil {
			return "", err
		}
	}
	if own == "" {
		return outer, nil
	}
	if outer != "" && outer != own {
		return "", field.ErrTenantMismatch
	}
	return own, nil
}

// tenantOf returns the tenant of dest, if that is a model with one; else nil.
func (m *model) tenantOf(dest any) any {
	rv := reflect.ValueOf(dest)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() || rv.Type() != m.schema.ModelType {
		return nil
	}
	v, zero := m.tenant.ValueOf(context.Background(), rv)
	if zero {
		return nil
	}
	return v
}
