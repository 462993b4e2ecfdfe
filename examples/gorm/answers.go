package main

import (
	"context"
	"errors"
	"fmt"
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

// fail answers with the status of err, of which the caller learns nothing
// else. The log has the route in place of the URL, which holds what was asked.
func (s *service) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	log := s.log.With("route", r.Pattern, "tenant", field.TenantFrom(r.Context()), "status", status)
	if status < http.StatusInternalServerError {
		log.InfoContext(r.Context(), "refused")
	} else {
		log.ErrorContext(r.Context(), "failed", "cause", causeOf(err))
	}
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
	for _, other := range []func(error) (error, bool){find[*kms.Error], find[net.Error], find[*pgconn.ConnectError]} {
		if _, ok := other(err); ok {
			return true
		}
	}
	return errors.Is(err, keyring.ErrStore) || errors.Is(err, context.DeadlineExceeded)
}

// causeOf returns the text of Rowseal's own error, which holds no values. Of
// others, such as the database's, which may quote them, it returns the type.
func causeOf(err error) string {
	for _, own := range []func(error) (error, bool){
		find[*gormplugin.Error], find[*field.Error], find[*keyring.Error], find[*kms.Error],
	} {
		if e, ok := own(err); ok {
			return e.Error()
		}
	}
	return fmt.Sprintf("%T", err)
}

// find returns the E among err's causes.
func find[E error](err error) (error, bool) { return errors.AsType[E](err) }
