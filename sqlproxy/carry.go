package sqlproxy

import (
	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// carry carries a session's messages until it ends: between transactions once the server drains, wherever it
// stands once the server must end.
func (s *Server) carry(st *state, pair *login.Pair) error {
	c := &relay.Config{
		Shared: s.shared, Tenant: st.tenant(pair.User, pair.Database),
		Pooled: st.SessionPooler, MaxText: st.MaxStatement, MaxHeld: st.MaxMessage,
		Drain: s.drain, Logger: st.Log, Stats: &s.counts.relay,
	}
	if st.AllowFunctionCalls {
		c.FunctionCalls = relay.AllowFunctionCalls
	}
	return relay.Run(s.hard, pair, c)
}
