package login

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// DefaultAuthQuery is what AuthQuery asks where its SQL is "". It needs a role that may read pg_authid.
const DefaultAuthQuery = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1 " +
	"AND rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil > pg_catalog.now())"

// AuthQuery asks the server for verifiers, on a connection of its own that it keeps.
// It must not be copied or changed once in use.
type AuthQuery struct {
	// Upstream is the server.
	Upstream Upstream
	// Credential is whom to log in as. Required.
	Credential Credential
	// Database is where to ask; "" is the one named like the user.
	Database string
	// SQL is the query: the user is $1, the verifier the only column of the only row; no row, or
	// NULL, where there is none. "" is DefaultAuthQuery. Where no role may read
	// pg_authid, let it call a SECURITY DEFINER function.
	SQL string

	kept chan *leg // one place, which holds nil where there is no connection
}

var _ Verifiers = (*AuthQuery)(nil)

// NewAuthQuery checks an AuthQuery and makes it ready. It does not connect.
func NewAuthQuery(q *AuthQuery) (*AuthQuery, error) {
	if err := q.Credential.validate(); err != nil {
		return nil, err
	}
	if q.SQL == "" {
		q.SQL = DefaultAuthQuery
	}
	q.kept = make(chan *leg, 1)
	q.kept <- nil
	return q, nil
}

// Close closes the connection that is kept. AuthQuery can be used again.
func (q *AuthQuery) Close() error {
	kept := <-q.kept
	q.kept <- nil
	if kept == nil {
		return nil
	}
	return kept.conn.Close()
}

// Verifier asks for the one of a user. A kept connection that has broken is replaced once.
func (q *AuthQuery) Verifier(ctx context.Context, user string) (string, error) {
	var kept *leg
	select {
	case kept = <-q.kept:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	old := kept != nil
	text, kept, err := q.try(ctx, kept, user)
	if err != nil && old && kept == nil && ctx.Err() == nil {
		text, kept, err = q.try(ctx, nil, user)
	}
	q.kept <- kept
	if err != nil {
		return "", fmt.Errorf("login: asking %s for a verifier: %w", q.Upstream.Address, err)
	}
	return text, nil
}

// try asks on a connection, or on a new one, and gives it back if it is still good.
func (q *AuthQuery) try(ctx context.Context, on *leg, user string) (string, *leg, error) {
	var err error
	if on == nil {
		if on, err = q.connect(ctx); err != nil {
			return "", nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = on.conn.SetDeadline(past) })
	text, good, err := q.ask(on, user)
	if !stop() || !good {
		_ = on.conn.Close() // the first error tells
		on = nil
	}
	return text, on, err
}

func (q *AuthQuery) connect(ctx context.Context) (*leg, error) {
	conn, err := q.Upstream.connect(ctx, q.Upstream.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	server := newLeg(conn)
	if err := q.open(server); err != nil {
		_ = conn.Close() // the first error tells
		return nil, err
	}
	return server, nil
}

// open logs in and waits for ReadyForQuery.
func (q *AuthQuery) open(server *leg) error {
	s := &startup{parameters: map[string]string{
		"user": q.Credential.User, "client_encoding": "UTF8", "application_name": "rowseal",
	}}
	if q.Database != "" {
		s.parameters["database"] = q.Database
	}
	if _, err := server.conn.Write(s.append(nil)); err != nil {
		return err
	}
	if err := (&identity{password: q.Credential.Password}).login(server); err != nil {
		return err
	}
	_, _, err := rows(server)
	return err
}

// ask runs the query; good is false where the connection cannot be used further.
func (q *AuthQuery) ask(server *leg, user string) (text string, good bool, err error) {
	parse := append(append([]byte{0}, q.SQL...), 0, 0, 0)
	bind := []byte{0, 0, 0, 0, 0, 1}
	bind = binary.BigEndian.AppendUint32(bind, uint32(len(user)))
	bind = append(append(bind, user...), 0, 0)
	b := appendMessage(nil, 'P', parse)
	b = appendMessage(b, 'B', bind)
	b = appendMessage(b, 'E', []byte{0, 0, 0, 0, 0})
	b = appendMessage(b, 'S', nil)
	if _, err := server.conn.Write(b); err != nil {
		return "", false, err
	}
	found, good, err := rows(server)
	if err != nil {
		return "", good, err
	}
	if len(found) > 1 {
		return "", good, errors.New("the query gives several rows")
	}
	if len(found) == 0 {
		return "", good, nil
	}
	text, err = onlyColumn(found[0])
	return text, good, err
}

// rows reads up to ReadyForQuery and gives the bodies of DataRows, at most two. good says that ReadyForQuery
// was reached; the error may be the server's all the same.
func rows(server *leg) (found [][]byte, good bool, err error) {
	for {
		kind, body, readErr := server.message(maxServer)
		if readErr != nil {
			return nil, false, errors.Join(err, readErr)
		}
		switch kind {
		case msgError:
			err = &refusal{body}
		case 'D':
			if len(found) < 2 {
				found = append(found, body)
			}
		case msgReady:
			return found, true, err
		}
	}
}

// onlyColumn reads a DataRow of one column; NULL is "".
func onlyColumn(row []byte) (string, error) {
	if len(row) < 6 || binary.BigEndian.Uint16(row) != 1 {
		return "", errors.New("the query gives not one column")
	}
	size, value := int32(binary.BigEndian.Uint32(row[2:])), row[6:]
	if size < 0 {
		return "", nil
	}
	if int(size) != len(value) {
		return "", errors.New("the server's row is malformed")
	}
	return string(value), nil
}
