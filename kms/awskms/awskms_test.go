package awskms

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/awskms/awskmsfake"
	"github.com/rowseal/rowseal/kms/kmstest"
)

const alias = "alias/rowseal-test"

var binding = kms.Binding{Namespace: "n", Tenant: "acme", Purpose: "tenant", KeyID: "0123456789abcdef", Version: 1}

// env is a KMS, the fake service behind it and the clock that it goes by.
type env struct {
	*KMS
	fake *awskmsfake.Fake
	key  string // the first key's ARN

	mu  sync.Mutex
	now time.Time
}

func (e *env) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *env) advance(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

func start(t testing.TB, change func(cfg *Config, e *env)) *env {
	t.Helper()
	e := &env{fake: awskmsfake.New(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	t.Cleanup(e.fake.Close)
	e.key = e.fake.CreateKey()
	e.fake.SetAlias(alias, e.key)
	cfg := Config{KeyID: alias, Client: e.fake.Client(), Clock: e.clock}
	if change != nil {
		change(&cfg, e)
	}
	k, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.KMS = k
	return e
}

func harness(change func(cfg *Config, e *env)) kmstest.Harness {
	of := func(k kms.KMS) *env { return k.(*env) }
	return kmstest.Harness{
		Open: func(t testing.TB) kms.KMS { return start(t, change) },
		Reopen: func(t testing.TB, k kms.KMS) kms.KMS {
			e := of(k)
			second, err := New(t.Context(), Config{KeyID: e.keyID, Client: e.fake.Client(), Clock: e.clock})
			if err != nil {
				t.Fatal(err)
			}
			return second
		},
		Disable: func(_ testing.TB, k kms.KMS) { of(k).fake.Disable(of(k).key) },
		Enable:  func(_ testing.TB, k kms.KMS) { of(k).fake.Enable(of(k).key) },
		Down:    func(_ testing.TB, k kms.KMS) { of(k).fake.Down() },
		Up:      func(_ testing.TB, k kms.KMS) { of(k).fake.Up() },
		Hang: func(_ testing.TB, k kms.KMS) func() {
			of(k).fake.Delay(time.Hour)
			return func() { of(k).fake.Delay(0) }
		},
		NetworkCalls: func(k kms.KMS) int64 { return int64(of(k).fake.Calls("")) },
		Secrets:      func(testing.TB, kms.KMS) [][]byte { return [][]byte{[]byte(awskmsfake.SecretAccessKey)} },
	}
}

func TestConformanceByAlias(t *testing.T) {
	h := harness(nil)
	h.RotateRoot = func(t testing.TB, k kms.KMS) {
		e := k.(*env)
		e.fake.SetAlias(alias, e.fake.CreateKey())
		e.advance(aliasTTL)
	}
	kmstest.Run(t, h)
}

func TestConformanceByKeyARN(t *testing.T) {
	kmstest.Run(t, harness(func(cfg *Config, e *env) { cfg.KeyID = e.key }))
}

func TestConformanceByKeyID(t *testing.T) {
	kmstest.Run(t, harness(func(cfg *Config, e *env) {
		cfg.KeyID = e.key[strings.LastIndex(e.key, "/")+1:]
	}))
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wrap(t testing.TB, k kms.KMS) kms.Wrapped {
	t.Helper()
	return must[kms.Wrapped](t)(k.Wrap(t.Context(), make([]byte, kms.KeySize), binding))
}

func wantError(t testing.TB, err, kind error, texts ...string) {
	t.Helper()
	var typed *kms.Error
	if !errors.Is(err, kind) || !errors.As(err, &typed) {
		t.Fatalf("got %v, want a *kms.Error that is %q", err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q, want it to say %q", err, text)
		}
	}
}

func TestEveryRequestNamesTheKeyAndTheBindingAsItsContext(t *testing.T) {
	e := start(t, nil)
	w := wrap(t, e)
	must[[]byte](t)(e.Unwrap(t.Context(), w, binding))
	must[kms.Wrapped](t)(e.Rewrap(t.Context(), w, binding))
	if _, _, err := e.Generate(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, call := range e.fake.Log() {
		names = append(names, call.Operation)
		if call.KeyARN != e.key || call.EncryptionContext["rowseal:tenant"] != "acme" ||
			len(call.EncryptionContext) != 5 {
			t.Errorf("%s used %s with %v", call.Operation, call.KeyARN, call.EncryptionContext)
		}
		if call.Operation == "ReEncrypt" && (call.SourceKeyARN != e.key || len(call.SourceContext) != 5) {
			t.Errorf("ReEncrypt came from %s with %v", call.SourceKeyARN, call.SourceContext)
		}
	}
	if got := strings.Join(names, " "); got != "Encrypt Decrypt ReEncrypt GenerateDataKey" {
		t.Errorf("the requests were %s", got)
	}
}

func TestWhatWasWrappedBeforeAnAliasMovedStillUnwraps(t *testing.T) {
	e := start(t, nil)
	old := wrap(t, e)
	next := e.fake.CreateKey()
	e.fake.SetAlias(alias, next)
	must[[]byte](t)(e.Unwrap(t.Context(), old, binding))
	if w := wrap(t, e); w.RootKey != next {
		t.Errorf("wrapped under %s, want %s", w.RootKey, next)
	}
	if got := must[kms.Wrapped](t)(e.Rewrap(t.Context(), old, binding)); got.RootKey != next {
		t.Errorf("rewrapped under %s, want %s", got.RootKey, next)
	}
}

func TestARotationInsideTheKeyKeepsItsARNAndEveryWrap(t *testing.T) {
	e := start(t, nil)
	old := wrap(t, e)
	e.fake.Rotate(e.key)
	must[[]byte](t)(e.Unwrap(t.Context(), old, binding))
	if got := must[string](t)(e.Current(t.Context())); got != old.RootKey {
		t.Errorf("Current is %s, want %s", got, old.RootKey)
	}
	must[[]byte](t)(e.Unwrap(t.Context(), must[kms.Wrapped](t)(e.Rewrap(t.Context(), old, binding)), binding))
}

func TestCurrentAsksAboutAnAliasOnceAMinute(t *testing.T) {
	e := start(t, nil)
	current := func() string { return must[string](t)(e.Current(t.Context())) }
	for range 3 {
		current()
	}
	if n := e.fake.Calls("DescribeKey"); n != 1 {
		t.Errorf("three calls at once cost %d requests, want 1", n)
	}
	next := e.fake.CreateKey()
	e.fake.SetAlias(alias, next)
	e.advance(aliasTTL - 1)
	if got := current(); got != e.key {
		t.Errorf("just before a minute Current is %s, want %s", got, e.key)
	}
	e.advance(1)
	if got := current(); got != next || e.fake.Calls("DescribeKey") != 2 {
		t.Errorf("after a minute Current is %s by %d requests, want %s by 2", got, e.fake.Calls("DescribeKey"), next)
	}
}

func TestCurrentLearnsFromWrap(t *testing.T) {
	e := start(t, nil)
	must[string](t)(e.Current(t.Context()))
	next := e.fake.CreateKey()
	e.fake.SetAlias(alias, next)
	wrap(t, e)
	if got := must[string](t)(e.Current(t.Context())); got != next || e.fake.Calls("DescribeKey") != 1 {
		t.Errorf("Current is %s by %d requests, want %s by 1", got, e.fake.Calls("DescribeKey"), next)
	}
}

func TestCurrentOfAKeyCostsNoRequestByARNAndOneByID(t *testing.T) {
	for name, c := range map[string]struct {
		keyID func(key string) string
		want  int
	}{
		"by ARN": {func(key string) string { return key }, 0},
		"by id":  {func(key string) string { return key[strings.LastIndex(key, "/")+1:] }, 1},
	} {
		e := start(t, func(cfg *Config, e *env) { cfg.KeyID = c.keyID(e.key) })
		for range 3 {
			if got := must[string](t)(e.Current(t.Context())); got != e.key {
				t.Errorf("%s: Current is %s, want %s", name, got, e.key)
			}
			e.advance(24 * time.Hour)
		}
		if n := e.fake.Calls(""); n != c.want {
			t.Errorf("%s: three days cost %d requests, want %d", name, n, c.want)
		}
	}
}

func TestAMultiRegionKeyUnwrapsInTheRegionOfItsReplica(t *testing.T) {
	fake := awskmsfake.New()
	t.Cleanup(fake.Close)
	primary := fake.CreateMultiRegionKey()
	replica := fake.Replicate(primary, "us-east-1")
	here := must[*KMS](t)(New(t.Context(), Config{KeyID: primary, Client: fake.Client()}))
	there := must[*KMS](t)(New(t.Context(), Config{KeyID: replica, Client: fake.Region("us-east-1").Client()}))
	w := wrap(t, here)
	must[[]byte](t)(there.Unwrap(t.Context(), w, binding))
	moved := must[kms.Wrapped](t)(there.Rewrap(t.Context(), w, binding))
	if moved.RootKey != replica {
		t.Errorf("rewrapped under %s, want %s", moved.RootKey, replica)
	}
	must[[]byte](t)(here.Unwrap(t.Context(), moved, binding))
	if n := fake.Calls("Decrypt"); n != 1 {
		t.Errorf("the first region was asked %d times, want 1", n)
	}
}

func TestASingleRegionKeyOfAnotherRegionIsForeign(t *testing.T) {
	e := start(t, nil)
	there := e.fake.Region("us-east-1")
	key := there.CreateKey()
	w := wrap(t, must[*KMS](t)(New(t.Context(), Config{KeyID: key, Client: there.Client()})))
	_, err := e.Unwrap(t.Context(), w, binding)
	wantError(t, err, kms.ErrForeign, key, "serves region eu-west-1")
	if e.fake.Calls("")+there.Calls("Decrypt") != 0 {
		t.Error("the service was asked")
	}
}

func TestAKeyOfAnAccountThatIsNotListedIsForeign(t *testing.T) {
	e := start(t, func(cfg *Config, _ *env) { cfg.Accounts = []string{awskmsfake.Account} })
	w := wrap(t, e)
	must[[]byte](t)(e.Unwrap(t.Context(), w, binding))
	w.RootKey = strings.Replace(w.RootKey, awskmsfake.Account, "999999999999", 1)
	calls := e.fake.Calls("")
	_, err := e.Unwrap(t.Context(), w, binding)
	wantError(t, err, kms.ErrForeign, "Accounts")
	if e.fake.Calls("") != calls {
		t.Error("the service was asked")
	}
}

func TestAnAliasThatLeadsToAnAccountThatIsNotListedIsRefused(t *testing.T) {
	e := start(t, func(cfg *Config, _ *env) { cfg.Accounts = []string{"999999999999"} })
	_, err := e.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	wantError(t, err, kms.ErrInvalid, "does not serve", "Accounts")
	_, _, err = e.Generate(t.Context(), binding)
	wantError(t, err, kms.ErrInvalid, "does not serve")
	_, err = e.Current(t.Context())
	wantError(t, err, kms.ErrInvalid, "does not serve")
}

func TestCheckSaysWhyAKeyCannotWrap(t *testing.T) {
	e := start(t, nil)
	if err := e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.fake.Disable(alias)
	wantError(t, e.Check(t.Context()), kms.ErrDisabled, "Disabled", e.key)
	e.fake.ScheduleDeletion(alias)
	wantError(t, e.Check(t.Context()), kms.ErrDisabled, "PendingDeletion")
	e.fake.Delete(alias)
	wantError(t, e.Check(t.Context()), kms.ErrNotFound, "check the key")
	mac := createMACKey(t, e.fake.Client())
	k := must[*KMS](t)(New(t.Context(), Config{KeyID: mac, Client: e.fake.Client()}))
	wantError(t, k.Check(t.Context()), kms.ErrInvalid, "GENERATE_VERIFY_MAC", "SYMMETRIC_DEFAULT")
	_, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	wantError(t, err, kms.ErrInvalid, "SYMMETRIC_DEFAULT")
}

func createMACKey(t testing.TB, client *awssdk.Client) string {
	t.Helper()
	out, err := client.CreateKey(t.Context(), &awssdk.CreateKeyInput{KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC"})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}
