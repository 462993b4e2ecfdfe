package login

import (
	"context"
	"errors"
)

// Terminated says how the proxy verifies clients itself.
type Terminated struct{}

func (a *attempt) terminate(context.Context) error { return errors.New("not built") }
