package field

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/rowseal/rowseal/blindindex"
	"github.com/rowseal/rowseal/envelope"
)

// Keyring is where a Cipher gets its keys; package keyring has it. A Keyring
// that also has a method Namespace() string must agree with Config.Namespace.
//
// The methods answer each request in the slice's place, with a key or with an
// error in it, and load all that is missing side by side.
type Keyring interface {
	// SealKeys gives keys to seal new values with. For ModeRow it is a key
	// that wraps row keys.
	SealKeys(ctx context.Context, uses []envelope.Use, grants []envelope.Grant)
	// OpenKeys gives the keys that stored values name.
	OpenKeys(ctx context.Context, refs []envelope.Ref, grants []envelope.Grant)
	// IndexKeys gives keys to make search terms with. They are not those of
	// SealKeys: who has them can neither seal nor open.
	IndexKeys(ctx context.Context, uses []blindindex.Use, grants []blindindex.Grant)
}

// Config is what a Cipher needs.
type Config struct {
	// Keyring gives the keys; required.
	Keyring Keyring
	// Namespace names the deployment and is bound into every value; the
	// keyring's where it is left "".
	Namespace string
}

// Cipher seals and opens the values of columns. It is safe for concurrent use.
type Cipher struct {
	keyring   Keyring
	namespace string
	memos     sync.Map // *Column -> *memo, for columns that another Cipher owns
	plans     sync.Map // structKey -> *structPlan
}

// New returns a Cipher.
func New(cfg Config) (*Cipher, error) {
	if cfg.Keyring == nil {
		return nil, errors.New("field: Config.Keyring is nil; give one, for example of package keyring")
	}
	if n, ok := cfg.Keyring.(interface{ Namespace() string }); ok {
		if cfg.Namespace != "" && cfg.Namespace != n.Namespace() {
			return nil, errors.New("field: Config.Namespace differs from the keyring's")
		}
		cfg.Namespace = n.Namespace()
	}
	return &Cipher{keyring: cfg.Keyring, namespace: cfg.Namespace}, nil
}

// String names the type and shows nothing of its keys.
func (c *Cipher) String() string { return "rowseal cipher" }

// GoString is String.
func (c *Cipher) GoString() string { return c.String() }

// LogValue is String.
func (c *Cipher) LogValue() slog.Value { return slog.StringValue(c.String()) }

// binding is where a value of col belongs. known is associated data that its
// key's values have in common, or nil.
func (c *Cipher) binding(col *Column, tenant string, known []byte) envelope.Binding {
	return envelope.Binding{Namespace: c.namespace, Tenant: tenant, Field: col.field, Known: known}
}
