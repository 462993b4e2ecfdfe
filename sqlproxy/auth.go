package sqlproxy

import "github.com/rowseal/rowseal/sqlproxy/internal/login"

// Verifiers knows users' SCRAM verifiers. Its method Verifier(ctx, user) (string, error) gives a user's in the form of
// pg_authid.rolpassword, or "" for none; its errors go to the log.
type Verifiers = login.Verifiers

// Credential is a user and a password, which must be ASCII. Its fields are User and Password.
type Credential = login.Credential

// AuthQuery asks the server for verifiers; see [NewAuthQuery].
//
//	Upstream    Upstream     the server
//	Credential  Credential   whom to log in as; required
//	Database    string       where to ask; "" is the one named like the user
//	SQL         string       the user is $1, the verifier the only column of the only row; "" is DefaultAuthQuery
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
