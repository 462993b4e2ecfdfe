package sqlproxy

import (
	"github.com/rowseal/rowseal/sqlproxy/internal/login"
	"github.com/rowseal/rowseal/sqlproxy/internal/relay"
)

// relayConfig is what a session is run with: it ends between transactions once the server drains, and
// wherever it stands once the server must end.
//
//go:noinline
func (s *Server) relayConfig(st *state, pair *login.Pair) *relay.Config {
	c := &relay.Config{
		Shared: s.shared, Server: st.Upstream.Address, Tenant: st.tenant(pair.User, pair.Database),
		Pooled: st.SessionPooler, MaxText: st.MaxStatement, MaxHeld: st.MaxMessage,
		Drain: s.drain, Idle: st.Idle, Logger: st.Log, Stats: &s.counts.relay,
	}
	if st.AllowFunctionCalls {
		c.FunctionCalls = relay.AllowFunctionCalls
	}
	return c
}
