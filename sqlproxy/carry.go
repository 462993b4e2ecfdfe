package sqlproxy

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/rowseal/rowseal/sqlproxy/internal/login"
)

// carrier carries a session's messages until it ends. It ends the session between transactions once
// Server.drain is done, and wherever it stands once Server.hard is.
type carrier func(s *Server, st *state, pair *login.Pair) error

// ready is ReadyForQuery outside of a transaction, which login keeps back.
var ready = []byte{'Z', 0, 0, 0, 5, 'I'}

// copyBoth carries bytes and looks at none of them.
func copyBoth(s *Server, _ *state, pair *login.Pair) error {
	stop := context.AfterFunc(s.hard, func() { closeBoth(pair) })
	defer stop()
	if _, err := pair.Client.Write(append(ready, pair.FromServer...)); err != nil {
		return err
	}
	if _, err := pair.Server.Write(pair.FromClient); err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() {
		_, err := io.Copy(pair.Server, pair.Client)
		closeBoth(pair)
		up <- err
	}()
	_, err := io.Copy(pair.Client, pair.Server)
	closeBoth(pair)
	if err = errors.Join(err, <-up); errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func closeBoth(pair *login.Pair) {
	_ = pair.Client.Close() // what ends a session needs no answer
	_ = pair.Server.Close()
}
