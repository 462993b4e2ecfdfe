package sqlproxy

import "github.com/rowseal/rowseal/sqlproxy/internal/login"

// Verifiers knows users' SCRAM verifiers.
type Verifiers = login.Verifiers

// Credential is a user and a password.
type Credential = login.Credential

// AuthQuery asks the server for verifiers; see NewAuthQuery.
type AuthQuery = login.AuthQuery

// DefaultAuthQuery is what an AuthQuery asks where it is not told otherwise.
const DefaultAuthQuery = login.DefaultAuthQuery

// NewAuthQuery checks an AuthQuery and makes it ready. It does not connect.
func NewAuthQuery(q *AuthQuery) (*AuthQuery, error) { return login.NewAuthQuery(q) }

// VerifierFile holds verifiers that were read from a file.
type VerifierFile = login.VerifierFile

// ReadVerifierFile reads a file with a user and a verifier on each line, or
// PgBouncer's userlist.txt. To read it anew, call it again and Reload.
func ReadVerifierFile(path string) (*VerifierFile, error) { return login.ReadVerifierFile(path) }
