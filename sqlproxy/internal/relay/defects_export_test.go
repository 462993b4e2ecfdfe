package relay

import (
	"errors"

	"github.com/rowseal/rowseal/sqlproxy/internal/plan"
)

// BreakAnalysis has the analysis fail from now on in a way that it never should: with a panic, or an error that is no refusal.
func (s *Shared) BreakAnalysis(panics bool) {
	s.engine.analyze = func(*plan.Context, string) (*plan.Plan, error) {
		if panics {
			panic("canary of the analysis")
		}
		return nil, errors.New("canary of the analysis")
	}
}
