package field

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/rowseal/rowseal/envelope"
)

// Row is what a caller knows of the row that a value stands in.
type Row struct {
	// Tenant is the row's tenant, in the form that [TenantOf] gives. When
	// sealing, "" means the context's tenant, else the table's default. When
	// opening, it means that only the context's tenant, if any, is checked.
	Tenant string
	// ID is the value of the table's row id column. Sealing needs it where
	// the table declares one; opening checks it where it is not nil.
	ID any
}

type tenantKey struct{}

// WithTenant returns a context whose values are sealed for tenant, and which
// opens no other tenant's values.
func WithTenant(ctx context.Context, tenant string) context.Context {
	return context.WithValue(ctx, tenantKey{}, tenant)
}

// TenantFrom returns the tenant that [WithTenant] set; "" if none did.
func TenantFrom(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
}

// TenantOf returns the canonical form of a tenant column's value: integers in
// decimal, UUIDs in lower case, other text as it is; 1 to 255 bytes of UTF-8.
// NULL and nil are refused with ErrTenantUnknown.
func TenantOf(v any) (string, error) {
	s, _, err := canonical(v)
	if err != nil {
		return "", err
	}
	if s == "" {
		return "", ErrTenantUnknown
	}
	return s, envelope.CheckTenant(s)
}

// claimOf returns what a value says of its row: an integer as a big-endian
// int64, anything else as the first 8 bytes of the SHA-256 of its canonical
// form. Callers that know the row's id compare it.
func claimOf(id any) (claim [envelope.ClaimSize]byte, err error) {
	s, n, err := canonical(id)
	switch {
	case err != nil:
		return claim, err
	case n != nil:
		binary.BigEndian.PutUint64(claim[:], uint64(*n))
	case s == "":
		return claim, ErrRowUnknown
	default:
		sum := sha256.Sum256([]byte(s))
		copy(claim[:], sum[:])
	}
	return claim, nil
}

// canonical returns the one text for an identifier, and its integer where it
// is one. "" stands for nil and NULL.
func canonical(v any) (text string, n *int64, err error) {
	switch x := v.(type) {
	case nil:
		return "", nil, nil
	case string:
		return lowerUUID(x), nil, nil
	case []byte:
		if len(x) == 16 {
			return formatUUID([16]byte(x)), nil, nil
		}
		return lowerUUID(string(x)), nil, nil
	case [16]byte:
		return formatUUID(x), nil, nil
	}
	rv := reflect.ValueOf(v)
	switch {
	case rv.CanInt():
		i := rv.Int()
		return strconv.FormatInt(i, 10), &i, nil
	case rv.CanUint():
		u := rv.Uint()
		if u > math.MaxInt64 {
			return "", nil, fmt.Errorf("an identifier of type %T is above the largest bigint, %d", v, int64(math.MaxInt64))
		}
		i := int64(u)
		return strconv.FormatInt(i, 10), &i, nil
	}
	return canonicalOther(v, rv)
}

func canonicalOther(v any, rv reflect.Value) (string, *int64, error) {
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return "", nil, nil
		}
		if _, ok := v.(encoding.TextMarshaler); !ok {
			return canonical(rv.Elem().Interface())
		}
	}
	if rv.Kind() == reflect.Array && rv.Type().ConvertibleTo(reflect.TypeFor[[16]byte]()) {
		return formatUUID(rv.Convert(reflect.TypeFor[[16]byte]()).Interface().([16]byte)), nil, nil
	}
	if d, ok := v.(driver.Valuer); ok {
		value, err := d.Value()
		if err != nil {
			return "", nil, fmt.Errorf("identifier of type %T does not give its value", v)
		}
		if value == nil || reflect.TypeOf(value) != rv.Type() {
			return canonical(value)
		}
	}
	if m, ok := v.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return "", nil, fmt.Errorf("identifier of type %T does not give its text", v)
		}
		return lowerUUID(string(text)), nil, nil
	}
	if rv.Kind() == reflect.String {
		return lowerUUID(rv.String()), nil, nil
	}
	return "", nil, fmt.Errorf("a value of type %T does not identify a tenant or row; use an integer, text or a UUID", v)
}

// lowerUUID returns s in lower case if it is a UUID in its usual form.
func lowerUUID(s string) string {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return s
	}
	if _, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err != nil {
		return s
	}
	return strings.ToLower(s)
}

func formatUUID(u [16]byte) string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// sealTenant decides whose key seals a value of table t. Its form is checked
// where a key is asked for.
func sealTenant(ctx context.Context, t *Table, row Row) (string, error) {
	bound := TenantFrom(ctx)
	switch {
	case row.Tenant == "" && bound != "":
		return bound, nil
	case row.Tenant == "" && t.tenant.Default != "":
		return t.tenant.Default, nil
	case row.Tenant == "":
		return "", ErrTenantUnknown
	case bound != "" && bound != row.Tenant:
		return "", ErrTenantMismatch
	}
	return row.Tenant, nil
}

// openTenant returns the tenant that a value must have, given the context's;
// "" if nothing says.
func openTenant(bound string, row Row) (string, error) {
	if bound != "" && row.Tenant != "" && bound != row.Tenant {
		return "", ErrTenantMismatch
	}
	if row.Tenant != "" {
		return row.Tenant, nil
	}
	return bound, nil
}
