package kmsopen

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/awskms/awskmsfake"
	"github.com/rowseal/rowseal/kms/localkms"
)

var binding = kms.Binding{Purpose: "tenant", Tenant: "acme"}

// roundTrip opens rawURL, wraps and unwraps, and returns the root key used.
func roundTrip(t *testing.T, rawURL string) string {
	t.Helper()
	k, err := Open(t.Context(), rawURL)
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Wrap(t.Context(), make([]byte, kms.KeySize), binding)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), w, binding); err != nil {
		t.Fatal(err)
	}
	return w.RootKey
}

func TestALocalURLOpensAKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root key.txt")
	if err := localkms.Create(path); err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "local", Path: path}
	if got := roundTrip(t, u.String()); !strings.HasPrefix(got, "local:") {
		t.Errorf("wrapped under %q", got)
	}
}

func TestAnAWSURLOpensAKeyByAliasARNOrID(t *testing.T) {
	fake := awskmsfake.New()
	t.Cleanup(fake.Close)
	setEnv(t)
	key := fake.CreateKey()
	fake.SetAlias("alias/team/rowseal", key)
	query := "?region=eu-west-1&timeout=5s&account=" + awskmsfake.Account + "&account=999999999999&endpoint=" + url.QueryEscape(fake.URL())
	for _, path := range []string{
		"alias/team/rowseal", key, key[strings.LastIndex(key, "/")+1:],
		"arn:aws:kms:eu-west-1:111122223333:alias/team/rowseal",
	} {
		if got := roundTrip(t, "awskms:///"+path+query); got != key {
			t.Errorf("%s: wrapped under %s, want %s", path, got, key)
		}
	}
}

func setEnv(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": awskmsfake.AccessKeyID, "AWS_SECRET_ACCESS_KEY": awskmsfake.SecretAccessKey,
		"AWS_SESSION_TOKEN": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none",
	} {
		t.Setenv(name, value)
	}
}

func TestOpenRefuses(t *testing.T) {
	setEnv(t)
	for name, c := range map[string]struct{ url, want string }{
		"nothing":                    {"", accepted},
		"an unknown scheme":          {"vault:///transit/keys/a", `scheme is "vault"`},
		"a scheme in another form":   {"file:///root.key", "awskms:///alias/NAME"},
		"what is no URL":             {"local://%zz", "not a URL"},
		"a relative path":            {"local:root.key", "three slashes"},
		"a path taken for a host":    {"local://root.key", "three slashes"},
		"a host before the path":     {"local://etc/root.key", "three slashes"},
		"no path":                    {"local://", "three slashes"},
		"a slash only":               {"awskms:///", "three slashes"},
		"an alias taken for a host":  {"awskms://alias/rowseal", "three slashes"},
		"a password":                 {"awskms://u:hunter2@/alias/a", "password"},
		"a fragment":                 {"local:///root.key#x", "fragment"},
		"parameters that are broken": {"awskms:///alias/a?region=%zz", "cannot be read"},
		"a parameter of local":       {"local:///root.key?mode=0600", `"mode" is unknown; known are: none`},
		"an unknown parameter":       {"awskms:///alias/a?regoin=eu-west-1", `"regoin" is unknown; known are: region`},
		"a parameter twice":          {"awskms:///alias/a?region=a&region=b", "given twice"},
		"an empty parameter":         {"awskms:///alias/a?region=", `"region" is empty`},
		"a timeout without a unit":   {"awskms:///alias/a?region=eu-west-1&timeout=10", "duration"},
		"a timeout of nothing":       {"awskms:///alias/a?region=eu-west-1&timeout=0s", "duration"},
		"an insecure-endpoint maybe": {"awskms:///alias/a?region=eu-west-1&insecure-endpoint=maybe", "neither true nor false"},
		"a plain endpoint elsewhere": {"awskms:///alias/a?region=eu-west-1&endpoint=http://kms.example", "unencrypted"},
		"a KeyID that is none":       {"awskms:///rowseal?region=eu-west-1", "alias/NAME"},
		"no region":                  {"awskms:///alias/a", "no region"},
		"an account that is none":    {"awskms:///alias/a?region=eu-west-1&account=me", "12 digits"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Open(t.Context(), c.url)
			var typed *kms.Error
			if k != nil || !errors.As(err, &typed) || !errors.Is(err, kms.ErrInvalid) {
				t.Fatalf("got %v, %v, want nil and a *kms.Error of kind ErrInvalid", k, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the password")
			}
		})
	}
}

func TestTheProvidersOwnErrorsComeThrough(t *testing.T) {
	_, err := Open(t.Context(), "local://"+filepath.Join(t.TempDir(), "none.key"))
	if !errors.Is(err, kms.ErrNotFound) || !strings.Contains(err.Error(), "none.key") {
		t.Errorf("got %v, want ErrNotFound with the path", err)
	}
}

func TestAnInsecureEndpointIsTakenWhenMarked(t *testing.T) {
	setEnv(t)
	_, err := Open(t.Context(), "awskms:///alias/a?region=eu-west-1&insecure-endpoint=true&endpoint=http://localstack:4566")
	if err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		"", "local:///root.key", "awskms:///alias/a?region=eu-west-1", "awskms:///alias/a?region=x&account=1&account=2",
		"local://h/p?x=y#z", "awskms://u:p@h/a", "%", "awskms:///a?timeout=1s&endpoint=http://[::1]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rawURL string) {
		if strings.HasPrefix(strings.ToLower(rawURL), "local") {
			return // would read files of this machine
		}
		k, err := Open(t.Context(), rawURL)
		var typed *kms.Error
		if (k == nil) == (err == nil) || err != nil && !errors.As(err, &typed) {
			t.Errorf("%q: got %v, %v", rawURL, k, err)
		}
	})
}
