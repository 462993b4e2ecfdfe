package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

var (
	errInput    = errors.New("the request is not understood")
	errNoTenant = errors.New("no token, or one that is not known")
)

// requestTime is how long a request may wait for databases and the KMS.
const requestTime = 10 * time.Second

// answer makes a handler of f: it bounds its time, and answers its error.
func (s *service) answer(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTime)
		defer cancel()
		r = r.WithContext(ctx)
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
			return
		}
		s.log.InfoContext(ctx, "answered", "route", r.Pattern, "tenant", field.TenantFrom(ctx))
	})
}

// fail answers with the status of err. The caller learns nothing else of it,
// and the log no value: the route in place of the URL, and a text of which it
// is certain that no value stands in it.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, level := statusOf(err), slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "refused", "route", r.Pattern, "tenant", field.TenantFrom(r.Context()),
		"status", status, "cause", causeOf(err))
	_ = reply(w, status, map[string]string{"error": http.StatusText(status)})
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errNoTenant):
		return http.StatusUnauthorized
	case errors.Is(err, errInput), unfit(err):
		return http.StatusBadRequest
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, field.ErrTenantMismatch):
		return http.StatusNotFound
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return http.StatusConflict
	case away(err):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// unfit says whether a value does not fit its column, as text with a zero byte.
func unfit(err error) bool {
	e, ok := errors.AsType[*codec.Error](err)
	return ok && e.Op == "encode"
}

// away says whether the database, the key store or the KMS does not answer, so
// that the same request may succeed later.
func away(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && len(pg.Code) == 5 {
		switch pg.Code[:2] {
		case "08", "53", "57": // connection lost, out of resources, shutting down
			return true
		}
	}
	return errors.Is(err, keyring.ErrStore) || as[*kms.Error](err) || as[net.Error](err) ||
		as[*pgconn.ConnectError](err) || errors.Is(err, context.DeadlineExceeded)
}

// causeOf returns an error's text where it is Rowseal's, which holds no
// values; of others, such as the database's, which may quote them, the type.
func causeOf(err error) string {
	switch {
	case errors.Is(err, errInput), errors.Is(err, errNoTenant), errors.Is(err, gorm.ErrRecordNotFound),
		as[*gormplugin.Error](err), as[*field.Error](err), as[*keyring.Error](err), as[*kms.Error](err):
		return err.Error()
	}
	return fmt.Sprintf("%T", err)
}

// as says whether an E is among err's causes.
func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
