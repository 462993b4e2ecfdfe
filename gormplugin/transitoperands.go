package gormplugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
)

// doubled is a comparison whose values are sent a second time, for the plain
// column: those of operands[from:to], and then the tenant that its rows must
// have where only the context or the model says it.
type doubled struct {
	from, to int
	tenant   bool
}

// twice is a parameter of a doubled comparison: what is sent for each column.
type twice struct {
	term, plain any
	tenant      any // that rows with a plain value must have; see doubled
}

// twice returns what is sent for an operand of a column in transition.
func (o operand) twice(ctx context.Context, t field.Term, term any) (both twice, err error) {
	both.term = term
	if both.plain, err = veil(operandType(o.column.Type()), t.Value); err != nil {
		var e *codec.Error
		if errors.As(err, &e) {
			err = errors.New(e.Reason)
		}
		return both, &Error{
			Table: o.column.Table().Name(), Column: o.column.Name(), Err: ErrTransition,
			Remedy: fmt.Sprintf("the value cannot be compared with %s either: %v", o.column.Transition().Plain, err),
		}
	}
	if o.scope.model != nil && t.Tenant != "" {
		both.tenant, err = o.scope.model.tenantValue(ctx, t.Tenant)
	}
	return both, err
}

// operandType is the type of a parameter that is compared with a column of
// type t: without modifiers, and the widest of the integers.
func operandType(t codec.Type) codec.Type {
	name := t.String()
	if from := strings.IndexByte(name, '('); from >= 0 {
		name = name[:from] + name[strings.IndexByte(name, ')')+1:]
	}
	switch name {
	case "char":
		name = "bpchar"
	case "int2", "int4":
		name = "int8"
	}
	if wide, err := codec.ParseType(name); err == nil {
		return wide
	}
	return t
}

// sent returns the parameters as the statement's text wants them, and refuses
// those that would be written to a plain column past the plugin: with ranges
// in place of terms, and the values for plain columns. first is the place of
// the first parameter.
func (a *analysis) sent(args []any, first int) ([]any, error) {
	for _, use := range a.plains {
		if err := use.check(args, first); err != nil {
			return nil, err
		}
	}
	switch {
	case len(a.doubles) == 0 && a.ranged:
		return a.expanded(args), nil
	case len(a.doubles) == 0:
		return args, nil
	}
	if a.numbered && len(args)-first != a.given {
		return nil, fmt.Errorf("rowseal: the statement has %d parameters and %d were given", a.given, len(args)-first)
	}
	ranges := a.rangesOf()
	out := make([]any, 0, 2*len(args))
	for i, arg := range args {
		out = appendTerms(out, ranges[i-first], arg)
		for _, d := range a.doubles {
			if !a.numbered && a.operands[d.to-1].param == i-first {
				out = a.appendPlain(out, d, args[first:])
			}
		}
	}
	for _, d := range a.doubles {
		if a.numbered {
			out = a.appendPlain(out, d, args[first:])
		}
	}
	return out, nil
}

// appendPlain appends the values of d for the plain column.
func (a *analysis) appendPlain(out []any, d doubled, args []any) []any {
	var tenant any
	for _, o := range a.operands[d.from:d.to] {
		t, _ := args[o.param].(twice)
		out, tenant = append(out, t.plain), t.tenant
	}
	if d.tenant {
		out = append(out, tenant)
	}
	return out
}
