package plan

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walk calls visit for each message below m, m included, until it returns false.
func walk(m protoreflect.Message, visit func(protoreflect.Message) bool) bool {
	if !visit(m) {
		return false
	}
	ok := true
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := 0; ok && i < v.List().Len(); i++ {
				ok = walk(v.List().Get(i).Message(), visit)
			}
		default:
			ok = walk(v.Message(), visit)
		}
		return ok
	})
	return ok
}

// namesTable reports whether a table of this name, without schema, stands anywhere below m.
func namesTable(m protoreflect.Message, name string) bool {
	return !walk(m, func(m protoreflect.Message) bool {
		rv, ok := m.Interface().(*pg.RangeVar)
		return !ok || rv.Schemaname != "" || rv.Relname != name
	})
}

// sensitive reports whether anything below m may be something sealed: a name
// that means a sealed column in this scope, or a table that has one.
func (a *analyzer) sensitive(sc *scope, m protoreflect.Message) bool {
	return !walk(m, func(m protoreflect.Message) bool {
		switch x := m.Interface().(type) {
		case *pg.ColumnRef:
			return !a.sensitiveName(sc, x)
		case *pg.RangeVar:
			return !a.sensitiveTable(sc, x)
		case *pg.FuncCall:
			name := lastName(x.Funcname)
			if runsText(name) {
				return false
			}
			for _, f := range a.c.Catalog.Functions(a.c.Path, "", name) {
				if f.Sensitive {
					return false
				}
			}
		}
		return true
	})
}

func (a *analyzer) sensitiveName(sc *scope, c *pg.ColumnRef) bool {
	r := a.reference(sc, c)
	switch r.kind {
	case refColumn:
		return r.org.isSealed() || r.org.bad != nil || r.write
	case refPlain:
		return false
	case refRow, refStar:
		if r.rel != nil {
			return r.rel.hasSealed()
		}
	}
	return sc.anySealed()
}

func (a *analyzer) sensitiveTable(sc *scope, rv *pg.RangeVar) bool {
	if rv.Schemaname == "" {
		if c := findCTE(sc, rv.Relname); c != nil {
			return anySealedColumn(c.cols)
		}
	}
	t := a.lookup(rv)
	return t != nil && (t.Table != nil || t.Sensitive)
}

// deny refuses what the analysis does not know, unless nothing sealed is in it.
func (a *analyzer) deny(sc *scope, n *pg.Node, what string) {
	if a.refusal != nil {
		return
	}
	if !a.sensitive(sc, n.ProtoReflect()) {
		walk(n.ProtoReflect(), func(m protoreflect.Message) bool {
			switch x := m.Interface().(type) {
			case *pg.ParamRef:
				a.inClear(&pg.Node{Node: &pg.Node_ParamRef{ParamRef: x}}, output)
			case *pg.A_Const:
				a.inClear(&pg.Node{Node: &pg.Node_AConst{AConst: x}}, output)
			}
			return true
		})
		return
	}
	a.refuse(&Refusal{
		SQLState: notSupported, Position: locationOf(n),
		Message: what + " cannot be used with sealed columns",
		Hint:    "Select the columns, and compute in the application.",
	})
}

// locationOf returns the byte offset that a node names, or the first one below it; -1 for none.
func locationOf(n *pg.Node) int {
	if n == nil || n.Node == nil {
		return -1
	}
	m := n.ProtoReflect()
	at := -1
	m.Range(func(_ protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		inner := v.Message()
		if fd := inner.Descriptor().Fields().ByName("location"); fd != nil {
			at = int(inner.Get(fd).Int())
		}
		return false
	})
	return at
}

// firstLocation returns where the result columns of a query begin; -1 where that is not known.
func (a *analyzer) firstLocation(s *pg.SelectStmt) int {
	for s.GetLarg() != nil {
		s = s.Larg
	}
	if len(s.GetTargetList()) > 0 {
		return int(s.TargetList[0].GetResTarget().GetLocation())
	}
	return -1
}
