package sealing

import (
	"context"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// Bind gives the server's parameters for the client's: sealed ones and terms in
// binary form, others as they came. Data of the client's is referred to, not
// copied. All cells are carried out together.
func (s *Session) Bind(ctx context.Context, p *plan.Plan, client []Value) ([]Value, error) {
	if p.Params == nil {
		return client, nil
	}
	b := batch{s: s, plan: p, client: client}
	cells := make([]int, 0, len(p.Params))
	for _, param := range p.Params {
		if param.Cell > 0 {
			cells = append(cells, param.Cell-1)
		}
	}
	if len(client) < p.NumParams {
		_, err := b.value(plan.Source{Param: p.NumParams})
		return nil, err
	}
	if err := b.run(ctx, cells); err != nil {
		return nil, err
	}
	out := make([]Value, len(p.Params))
	for i, param := range p.Params {
		switch {
		case param.Cell > 0:
			out[i] = Value{OID: oidOf(p.Cells[param.Cell-1].Do), Format: binaryFormat, Data: b.out[param.Cell-1]}
		case param.Client > 0:
			out[i] = client[param.Client-1]
		default:
			out[i] = Value{OID: param.OID}
		}
	}
	return out, nil
}

// ofArray reports whether an action gives an array.
func ofArray(do plan.Action) bool { return do == plan.Terms || do == plan.Seals }

// oidOf is the type of what an action gives.
func oidOf(do plan.Action) uint32 {
	if ofArray(do) {
		return pgtype.ByteaArrayOID
	}
	return pgtype.ByteaOID
}
