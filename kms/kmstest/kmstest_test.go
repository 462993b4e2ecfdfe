package kmstest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

// recorder is a testing.TB that notes failures in place of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failures runs one check against k and returns what it found.
func failures(t *testing.T, name string, h Harness) []string {
	t.Helper()
	for _, c := range checks() {
		if c.name != name {
			continue
		}
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(r, h)
		}()
		<-done
		return r.failures
	}
	t.Fatalf("there is no check %q", name)
	return nil
}

// faulty is a correct provider in which single operations can be replaced. A
// mock service stands before it, which can be away, hang, or lose its key.
type faulty struct {
	*localkms.KMS
	wrap     func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error)
	unwrap   func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error)
	current  func(f *faulty) (string, error)
	generate func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error)
	rewrap   func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error)
	label    string

	state    error // what the mock service answers, nil for all is well
	hanging  bool
	deaf     bool // does not look at the context
	lastKey  []byte
	requests int64
}

func (f *faulty) service(ctx context.Context, op string) error {
	if f.hanging && !f.deaf {
		<-ctx.Done()
		return &kms.Error{Provider: "faulty", Op: op, Kind: kms.ErrUnavailable, Err: ctx.Err()}
	}
	if f.state != nil {
		return &kms.Error{Provider: "faulty", Op: op, Kind: f.state}
	}
	return nil
}

func (f *faulty) Wrap(ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
	if err := f.service(ctx, "wrap"); err != nil {
		return kms.Wrapped{}, err
	}
	if f.wrap != nil {
		return f.wrap(f, ctx, key, b)
	}
	return f.KMS.Wrap(ctx, key, b)
}

func (f *faulty) Unwrap(ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
	if err := f.service(ctx, "unwrap"); err != nil {
		return nil, err
	}
	if f.unwrap != nil {
		return f.unwrap(f, ctx, w, b)
	}
	return f.KMS.Unwrap(ctx, w, b)
}

func (f *faulty) Current(ctx context.Context) (string, error) {
	if f.current != nil {
		return f.current(f)
	}
	return f.KMS.Current(ctx)
}

func (f *faulty) Generate(ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
	if err := f.service(ctx, "generate"); err != nil {
		return nil, kms.Wrapped{}, err
	}
	if f.generate != nil {
		return f.generate(f, ctx, b)
	}
	return f.KMS.Generate(ctx, b)
}

func (f *faulty) Rewrap(ctx context.Context, w kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
	if err := f.service(ctx, "rewrap"); err != nil {
		return kms.Wrapped{}, err
	}
	if f.rewrap != nil {
		return f.rewrap(f, ctx, w, b)
	}
	return f.KMS.Rewrap(ctx, w, b)
}

// shared is a second KMS over the same root key.
type shared struct{ *localkms.KMS }

// harness returns a harness whose every KMS has the fault.
func harness(fault func(f *faulty)) Harness {
	of := func(k kms.KMS) *faulty { return k.(*faulty) }
	return Harness{
		Open: func(testing.TB) kms.KMS {
			f := &faulty{KMS: localkms.Memory()}
			fault(f)
			return f
		},
		Reopen: func(_ testing.TB, k kms.KMS) kms.KMS { return shared{of(k).KMS} },
		RotateRoot: func(t testing.TB, k kms.KMS) {
			if _, err := of(k).Rotate(t.Context()); err != nil {
				t.Errorf("rotating: %v", err)
			}
		},
		Disable: func(_ testing.TB, k kms.KMS) { of(k).state = kms.ErrDisabled },
		Enable:  func(_ testing.TB, k kms.KMS) { of(k).state = nil },
		Down:    func(_ testing.TB, k kms.KMS) { of(k).state = kms.ErrUnavailable },
		Up:      func(_ testing.TB, k kms.KMS) { of(k).state = nil },
		Hang: func(_ testing.TB, k kms.KMS) func() {
			of(k).hanging = true
			return func() { of(k).hanging = false }
		},
		NetworkCalls: func(k kms.KMS) int64 { return of(k).requests },
		Secrets:      func(_ testing.TB, _ kms.KMS) [][]byte { return [][]byte{providerSecret} },
	}
}

var providerSecret = []byte("a secret of the provider's own")

func TestTheSuitePassesACorrectProvider(t *testing.T) {
	Run(t, harness(func(*faulty) {}))
}

func TestTheSuitePassesAProviderWithoutTheOptionalInterfaces(t *testing.T) {
	Run(t, Harness{Open: func(testing.TB) kms.KMS { return plain{localkms.Memory()} }})
}

// plain hides Generate and Rewrap.
type plain struct{ kms.KMS }

func (plain) String() string   { return "plain" }
func (plain) GoString() string { return "plain" }

var errPlain = errors.New("not a *kms.Error")

// faults are providers that are wrong in one way, with the check that tells.
var faults = []struct {
	name, check string
	fault       func(f *faulty)
}{
	{"unwraps to another key", "a wrapped key unwraps", func(f *faulty) {
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			key, err := f.KMS.Unwrap(ctx, w, b)
			if err == nil {
				key[31] ^= 1
			}
			return key, err
		}
	}},
	{"writes a blob that is too long", "a wrapped key has the form that stores accept", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			w, err := f.KMS.Wrap(ctx, key, b)
			w.Blob = append(w.Blob, make([]byte, kms.MaxBlob)...)
			return w, err
		}
	}},
	{"generates a root key id that is too long", "a wrapped key has the form that stores accept", func(f *faulty) {
		f.generate = func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
			key, w, err := f.KMS.Generate(ctx, b)
			w.RootKey = string(make([]byte, kms.MaxRootKey+1))
			return key, w, err
		}
	}},
	{"tells another current root key", "Current is what Wrap writes", func(f *faulty) {
		f.current = func(*faulty) (string, error) { return "local:1/1", nil }
	}},
	{"wraps keys of any length", "a key of another length is refused", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			return f.KMS.Wrap(ctx, make([]byte, kms.KeySize), b)
		}
	}},
	{"wraps without randomness", "wrapping one key twice gives two blobs", func(f *faulty) {
		f.wrap = func(_ *faulty, _ context.Context, key []byte, _ kms.Binding) (kms.Wrapped, error) {
			return kms.Wrapped{RootKey: "local:1/1", Blob: append([]byte{1}, key...)}, nil
		}
	}},
	{"clears the key that it wraps", "arguments are left alone and results are not shared", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			defer clear(key)
			return f.KMS.Wrap(ctx, key, b)
		}
	}},
	{"returns one shared slice", "arguments are left alone and results are not shared", func(f *faulty) {
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			if f.lastKey == nil {
				f.lastKey, _ = f.KMS.Unwrap(ctx, w, b)
			}
			return f.lastKey, nil
		}
	}},
	{"generates one key again", "generated keys unwrap and never repeat", func(f *faulty) {
		key := randomKey()
		f.generate = func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
			w, err := f.KMS.Wrap(ctx, key, b)
			return key, w, err
		}
	}},
	{"generates another key than it wraps", "generated keys unwrap and never repeat", func(f *faulty) {
		f.generate = func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
			_, w, err := f.KMS.Generate(ctx, b)
			return randomKey(), w, err
		}
	}},
	{"does not bind the tenant", "a wrapped key unwraps for no other binding", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			b.Tenant = ""
			return f.KMS.Wrap(ctx, key, b)
		}
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			b.Tenant = ""
			return f.KMS.Unwrap(ctx, w, b)
		}
	}},
	{"generates without binding the version", "a generated key unwraps for no other binding", func(f *faulty) {
		f.generate = func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
			b.Version++
			return f.KMS.Generate(ctx, b)
		}
	}},
	{"takes any binding", "a binding that cannot be told from others is refused", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, _ kms.Binding) (kms.Wrapped, error) {
			return f.KMS.Wrap(ctx, key, binding)
		}
	}},
	{"leaves a byte of the blob unauthenticated", "a blob with a flipped byte is refused", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			w, err := f.KMS.Wrap(ctx, key, b)
			w.Blob = append(w.Blob, 0)
			return w, err
		}
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			w.Blob = w.Blob[:max(len(w.Blob)-1, 0)]
			return f.KMS.Unwrap(ctx, w, b)
		}
	}},
	{"ignores what follows the blob", "a blob that was cut or extended is refused", func(f *faulty) {
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			w.Blob = w.Blob[:min(len(w.Blob), 85)]
			return f.KMS.Unwrap(ctx, w, b)
		}
	}},
	{"answers a foreign root key with not found", "a root key of other systems is foreign", func(f *faulty) {
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			key, err := f.KMS.Unwrap(ctx, w, b)
			if errors.Is(err, kms.ErrForeign) {
				err = &kms.Error{Provider: "faulty", Op: "unwrap", Kind: kms.ErrNotFound}
			}
			return key, err
		}
	}},
	{"asks the network about foreign root keys", "a root key of other systems is foreign", func(f *faulty) {
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			f.requests++
			return f.KMS.Unwrap(ctx, w, b)
		}
	}},
	{"does not tell that it rotated", "after a rotation Current and Wrap use the new root key", func(f *faulty) {
		first := localkms.Memory()
		f.current = func(*faulty) (string, error) { return first.Current(context.Background()) }
	}},
	{"rewraps without moving", "rewrapping moves to the current root key and keeps the key", func(f *faulty) {
		f.rewrap = func(_ *faulty, _ context.Context, w kms.Wrapped, _ kms.Binding) (kms.Wrapped, error) { return w, nil }
	}},
	{"rewraps to another key", "rewrapping without a rotation keeps the key", func(f *faulty) {
		f.rewrap = func(f *faulty, ctx context.Context, _ kms.Wrapped, b kms.Binding) (kms.Wrapped, error) {
			return f.KMS.Wrap(ctx, randomKey(), b)
		}
	}},
	{"rewraps for a binding that it does not check", "a wrapped key unwraps for no other binding", func(f *faulty) {
		f.rewrap = func(f *faulty, ctx context.Context, w kms.Wrapped, _ kms.Binding) (kms.Wrapped, error) {
			return f.KMS.Rewrap(ctx, w, binding)
		}
	}},
	{"does not look at the context", "an ended context ends every operation", func(f *faulty) {
		f.unwrap = func(f *faulty, _ context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			return f.KMS.Unwrap(context.Background(), w, b)
		}
	}},
	{"does not stop waiting", "a context that ends while the service hangs ends the operation", func(f *faulty) { f.deaf = true }},
	{"uses a disabled root key", "a disabled root key is refused until it is enabled", func(f *faulty) { f.deaf = true }},
	{"returns plain errors", "a blob with a flipped byte is refused", func(f *faulty) {
		f.unwrap = func(*faulty, context.Context, kms.Wrapped, kms.Binding) ([]byte, error) { return nil, errPlain }
	}},
	{"names another operation in errors", "a key of another length is refused", func(f *faulty) {
		f.wrap = func(*faulty, context.Context, []byte, kms.Binding) (kms.Wrapped, error) {
			return kms.Wrapped{}, &kms.Error{Provider: "faulty", Op: "unwrap", Kind: kms.ErrInvalid}
		}
	}},
	{"shows the key in hex in an error", "errors hold no key bytes", func(f *faulty) {
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			if len(key) == kms.KeySize && ctx.Err() == nil && b.Validate() == nil {
				return f.KMS.Wrap(ctx, key, b)
			}
			return kms.Wrapped{}, &kms.Error{Provider: "faulty", Op: "wrap", Kind: kms.ErrInvalid, Err: fmt.Errorf("bad key %x", key)}
		}
	}},
	{"shows its own secret in an error", "errors hold no key bytes", func(f *faulty) {
		f.unwrap = func(*faulty, context.Context, kms.Wrapped, kms.Binding) ([]byte, error) {
			return nil, &kms.Error{Provider: "faulty", Op: "wrap", Kind: kms.ErrInvalid, Remedy: string(providerSecret)}
		}
	}},
	{"prints its secret", "a KMS that is printed or logged shows no secret", func(f *faulty) { f.label = string(providerSecret) }},
	{"returns another key under load", "all operations run at once", func(f *faulty) {
		f.generate = func(f *faulty, ctx context.Context, b kms.Binding) ([]byte, kms.Wrapped, error) {
			_, w, err := f.KMS.Generate(ctx, b)
			return randomKey(), w, err
		}
	}},
}

// String, GoString print what a fault put there.
func (f *faulty) String() string   { return f.KMS.String() + f.label }
func (f *faulty) GoString() string { return f.String() }

func TestTheSuiteFailsAProviderThat(t *testing.T) {
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			h := harness(c.fault)
			if c.name == "uses a disabled root key" {
				h.Disable = func(testing.TB, kms.KMS) {}
			}
			if got := failures(t, c.check, h); len(got) == 0 {
				t.Fatalf("the check %q did not notice", c.check)
			}
		})
	}
}

func TestTheSuiteFailsARotationThatLosesOldWraps(t *testing.T) {
	h := harness(func(*faulty) {})
	h.RotateRoot = func(_ testing.TB, k kms.KMS) { k.(*faulty).KMS = localkms.Memory() }
	if len(failures(t, "after rotations every earlier wrap unwraps", h)) == 0 {
		t.Error("lost wraps were not noticed")
	}
	h.Reopen = func(testing.TB, kms.KMS) kms.KMS { return localkms.Memory() }
	for _, name := range []string{
		"a second KMS over the root key unwraps what the first wrapped",
		"a rotation is seen by a second KMS",
	} {
		if len(failures(t, name, h)) == 0 {
			t.Errorf("%q did not notice a second KMS with another root key", name)
		}
	}
}

func TestTheSuiteFailsAnOutageThatIsNotTemporary(t *testing.T) {
	h := harness(func(*faulty) {})
	h.Down = func(_ testing.TB, k kms.KMS) { k.(*faulty).state = kms.ErrInvalid }
	if len(failures(t, "a service that is away is a temporary error until it is back", h)) == 0 {
		t.Error("an outage of kind ErrInvalid was not noticed")
	}
}

func TestTheSuiteFailsASharedRootKeyID(t *testing.T) {
	k := localkms.Memory()
	h := Harness{Open: func(testing.TB) kms.KMS { return k }}
	if len(failures(t, "a blob of another root key is refused", h)) == 0 {
		t.Error("two root keys with one id were not noticed")
	}
}

func TestTheSuiteFailsBlobsThatUnwrapUnderAnotherVersionsID(t *testing.T) {
	h := harness(func(f *faulty) {
		owner := map[string]string{} // blob to the id that it was wrapped under
		f.wrap = func(f *faulty, ctx context.Context, key []byte, b kms.Binding) (kms.Wrapped, error) {
			w, err := f.KMS.Wrap(ctx, key, b)
			owner[string(w.Blob)] = w.RootKey
			return w, err
		}
		f.unwrap = func(f *faulty, ctx context.Context, w kms.Wrapped, b kms.Binding) ([]byte, error) {
			w.RootKey = owner[string(w.Blob)]
			return f.KMS.Unwrap(ctx, w, b)
		}
	})
	if len(failures(t, "a blob does not unwrap under another version's id", h)) == 0 {
		t.Error("a provider that does not bind the root key's id was not noticed")
	}
}

func TestLeaksFindsASecretInEachForm(t *testing.T) {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(0x91 + 5*i)
	}
	for form, text := range map[string]string{
		"as it is":           string(secret),
		"quoted":             fmt.Sprintf("%q", secret),
		"in part":            "x" + string(secret[9:17]) + "x",
		"hex":                hex.EncodeToString(secret),
		"hex in capitals":    fmt.Sprintf("%X", secret),
		"base64":             base64.StdEncoding.EncodeToString(secret),
		"base64, unpadded":   base64.RawURLEncoding.EncodeToString(secret),
		"base64, one before": base64.StdEncoding.EncodeToString(append([]byte{1}, secret...)),
		"base64, two before": base64.StdEncoding.EncodeToString(append([]byte{1, 2}, secret...)),
		"a slice":            fmt.Sprint(secret),
		"Go syntax":          fmt.Sprintf("%#v", secret),
	} {
		if !leaks("before "+text+" after", secret) {
			t.Errorf("a secret written %s was not found", form)
		}
	}
	for _, text := range []string{"", "kms: local: wrap: failed", hex.EncodeToString(secret[:7])} {
		if leaks(text, secret) {
			t.Errorf("found the secret in %q", text)
		}
	}
}
