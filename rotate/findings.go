package rotate

import (
	"errors"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

// The kinds of findings.
const (
	// FindingUnsealed: bytes in a sealed column that are no sealed value, or a value that still stands in
	// the plain column that a sealed one takes over from.
	FindingUnsealed = "unsealed"
	// FindingMalformed: the value breaks the format: it was cut off, or bytes of its header were changed.
	FindingMalformed = "malformed"
	// FindingForeign: the value was sealed for another column.
	FindingForeign = "foreign"
	// FindingWrongType: the value was sealed as another type, or does not fit the type that the policy
	// declares now.
	FindingWrongType = "wrong-type"
	// FindingWrongTenant: the value belongs to another tenant than its row.
	FindingWrongTenant = "wrong-tenant"
	// FindingWrongRow: the value belongs to another row, or stands in several.
	FindingWrongRow = "wrong-row"
	// FindingUndecryptable: the value's key is there and does not open it: a bit was changed, or it belongs to
	// another namespace.
	FindingUndecryptable = "undecryptable"
	// FindingUnknownKey: the key store has no key of the id that the value carries, or no configured root
	// key wraps it.
	FindingUnknownKey = "unknown-key"
	// FindingDestroyedKey: the value's key was destroyed.
	FindingDestroyedKey = "destroyed-key"
	// FindingStaleTerms: the value's search terms are not those of its plaintext: searches do not find it.
	FindingStaleTerms = "stale-terms"
	// FindingStale: the value opens and is not sealed as the policy says now, in suite, key mode, flags or padding.
	FindingStale = "stale"
	// FindingBusy: the row was changed by others each time it was to be written.
	FindingBusy = "busy"
)

// ErrFindings: a verify came to its end and found something.
var ErrFindings = errors.New("verify has findings")

// findingOf lists which finding an error of sealing or opening a single value is. What is not in it (a KMS or
// key store that is away, a key that a cache dropped) says nothing of the value. The order matters: the first
// that matches counts.
var findingOf = []struct {
	err  error
	kind string
}{
	{envelope.ErrNotSealed, FindingUnsealed},
	{envelope.ErrMalformed, FindingMalformed},
	{field.ErrWrongColumn, FindingForeign},
	{ErrWrongColumn, FindingForeign},
	{field.ErrWrongType, FindingWrongType},
	{field.ErrTenantMismatch, FindingWrongTenant},
	{field.ErrTenantUnknown, FindingWrongTenant},
	{field.ErrRowMismatch, FindingWrongRow},
	{field.ErrRowUnknown, FindingWrongRow},
	{keyring.ErrDestroyed, FindingDestroyedKey},
	{keyring.ErrUnknownKey, FindingUnknownKey},
	{keyring.ErrNoRoot, FindingUnknownKey},
	{kms.ErrNotFound, FindingUnknownKey}, // a version of a root key that was removed
	{keyring.ErrCommitment, FindingUndecryptable},
	{kms.ErrBinding, FindingUndecryptable},
	{envelope.ErrOpen, FindingUndecryptable},
	{envelope.ErrTooLong, FindingWrongType},
}

// passingErrors say that a key could not be asked for. One of several root keys may say so while another
// refuses.
var passingErrors = []error{
	envelope.ErrKeyGone, keyring.ErrStore,
	kms.ErrUnavailable, kms.ErrThrottled, kms.ErrDenied, kms.ErrDisabled, kms.ErrInvalid,
}

// classify says which finding err is. ok is false where err is not the value's fault: then the page is to be
// tried again.
func classify(err error) (f Finding, ok bool) {
	for _, passing := range passingErrors {
		if errors.Is(err, passing) {
			return Finding{}, false
		}
	}
	for _, known := range findingOf {
		if errors.Is(err, known.err) {
			return Finding{Kind: known.kind, Detail: causeOf(err)}, true
		}
	}
	if _, ok := errors.AsType[*codec.Error](err); ok {
		return Finding{Kind: FindingWrongType, Detail: causeOf(err)}, true
	}
	return Finding{}, false
}

// causeOf is the error without the column that a finding names itself.
func causeOf(err error) string {
	if e, ok := errors.AsType[*field.Error](err); ok {
		err = e.Err
	}
	return err.Error()
}
