package main

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/rowseal/rowseal/gormplugin"
)

// tenants says by a token's hash whose data its bearer works with. A real
// service asks its sessions or its identity provider.
type tenants map[[sha256.Size]byte]string

const minToken = 16

// parseTenants reads tenant=token,tenant=token. Its error shows no token.
func parseTenants(list string) (tenants, error) {
	t := tenants{}
	for pair := range strings.SplitSeq(list, ",") {
		tenant, token, _ := strings.Cut(pair, "=")
		if tenant == "" || len(token) < minToken {
			return nil, fmt.Errorf("PEOPLE_TOKENS: write tenant=token,tenant=token, each token at least %d characters", minToken)
		}
		t[sha256.Sum256([]byte(token))] = tenant
	}
	return t, nil
}

// requireTenant lets requests pass that say whose they are. From here on the
// request's context seals for that tenant and opens no other's values.
func (s *service) requireTenant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		tenant, ok := s.tenants[sha256.Sum256([]byte(token))]
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, r, errNoTenant)
			return
		}
		next.ServeHTTP(w, r.WithContext(gormplugin.WithTenant(r.Context(), tenant)))
	})
}

// The tokens of a run that PEOPLE_TOKENS gives none.
var (
	north, south = rand.Text(), rand.Text()
	runTokens    = "north=" + north + ",south=" + south
)

// printSession shows what to try.
func printSession(out io.Writer, at net.Addr) {
	fmt.Fprintf(out, `Tokens of this run are those of the tenants north and south. Try

  north='Authorization: Bearer %[1]s'
  south='Authorization: Bearer %[2]s'
  curl -H "$north" http://%[3]v/people -d '{"email": "ann@example.com", "name": "Ann Example"}'
  curl -H "$north" 'http://%[3]v/people?email=ann@example.com'
  curl -H "$south" 'http://%[3]v/people?email=ann@example.com'
  curl -H "$north" http://%[3]v/people/1 -X PATCH -d '{"notes": "prefers tea"}'
  curl -H "$south" http://%[3]v/people/1

`, north, south, at)
}
