package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// someValue seals a text in the given mode, padded and bound to row 7.
func someValue(t testing.TB, mode envelope.Mode) []byte {
	t.Helper()
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{localkms.Memory()}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := field.New(field.Config{Keyring: ring})
	if err != nil {
		t.Fatal(err)
	}
	text, err := codec.ParseType("text")
	if err != nil {
		t.Fatal(err)
	}
	table, err := field.NewTable(field.TableConfig{Name: "people", RowID: "id", Columns: []field.ColumnConfig{
		{Name: "name", Type: text, Mode: mode, Pad: 16},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := cipher.Seal(t.Context(), nil, table.Column("name"), field.Row{Tenant: "acme", ID: 7}, "Ann")
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestInspectShowsEveryHeaderField(t *testing.T) {
	for mode, want := range map[envelope.Mode][]string{
		envelope.ModeTenant: {"XAES-256-GCM", "field key, derived from a tenant key", "tenant key id", "salt"},
		envelope.ModeRow:    {"AES-256-GCM", "row key, wrapped by a tenant key", "tenant key id", "wrapped row key"},
		envelope.ModeKMS:    {"AES-256-GCM", "row key, wrapped by a KMS", `"local:`, `"acme"`, "wrapped row key"},
	} {
		b := someValue(t, mode)
		code, out, errs := runWith(t.Context(), "inspect", hex.EncodeToString(b))
		if code != 0 || errs != "" {
			t.Fatalf("%v: exit code %d, %s", mode, code, errs)
		}
		column := hex.EncodeToString(b[1:5])
		for _, w := range append(want, column, "text (0x01)", "row claim", "padded", "including a row claim of 8 and padding") {
			if !strings.Contains(out, w) {
				t.Errorf("%v: %q is missing in\n%s", mode, w, out)
			}
		}
	}
}

func TestInspectTakesEveryFormOfAValue(t *testing.T) {
	b := someValue(t, envelope.ModeTenant)
	h := hex.EncodeToString(b)
	for name, form := range map[string]string{
		"hex": h, "hex in capitals": strings.ToUpper(h), "PostgreSQL's form": `\x` + h, "an escaped backslash": `\\x` + h,
		"0x": "0x" + h, "SQLite's form": "X'" + h + "'", "base64": base64.StdEncoding.EncodeToString(b),
		"base64 for URLs": base64.RawURLEncoding.EncodeToString(b), "quotes and breaks": "\"" + h[:20] + "\n " + h[20:] + "\"\n",
		"plain bytes": string(b),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readValue(strings.NewReader(form), "-")
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("got %x, %v", got, err)
			}
		})
	}
}

func TestInspectRefusesWhatIsNoSealedValue(t *testing.T) {
	b := hex.EncodeToString(someValue(t, envelope.ModeTenant))
	for name, c := range map[string]struct{ value, want string }{
		"plaintext":       {"68656c6c6f", "does not begin with byte f5"},
		"no encoding":     {"hello, world!", "neither hex"},
		"nothing":         {"", "the value is empty"},
		"half a byte":     {b[:len(b)-1], "odd number"},
		"a truncated one": {b[:60], "ends early"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := runWith(t.Context(), "inspect", c.value)
			if code != exitFailed || out != "" || !strings.Contains(errs, c.want) {
				t.Fatalf("exit code %d, output %q, error %q", code, out, errs)
			}
		})
	}
}

func FuzzDecodeValueNeverPanics(f *testing.F) {
	for _, seed := range []string{"", `\x`, "X''", "f5", "0xF5ab", "9QECAwQ=", "\"f5 01\"", `\\xf501`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := decodeValue(s)
		if err != nil {
			return
		}
		if v, err := envelope.Parse(b); err == nil {
			var out bytes.Buffer
			if err := printValue(&out, &v); err != nil || out.Len() == 0 {
				t.Fatalf("printing: %v", err)
			}
		}
	})
}
