package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func testKey(t testing.TB, s Suite, f *Field) *Key {
	t.Helper()
	tk, err := NewTenantKey(KeyID{1, 2, 3, 4, 5, 6, 7, 8}, "acme", bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if s.fits(ModeRow) {
		wrap, err := tk.RowWrapKey(s, [SaltSize]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		k, err := NewRowKey(wrap, "")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, err := tk.FieldKey(s, f, [SaltSize]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testField(t testing.TB) *Field {
	t.Helper()
	f, err := NewField("users", "ssn")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOverheadIsAsDocumented(t *testing.T) {
	f := testField(t)
	for s, want := range map[Suite]int{SuiteXAES: 56, SuiteHKDF: 56, SuiteRow: 116, SuiteRowHKDF: 116} {
		b, err := Seal(nil, &Header{Column: f.ID(), Type: 1}, testKey(t, s, f), &Binding{Tenant: "acme", Field: f}, make([]byte, 16))
		if err != nil || len(b)-16 != want {
			t.Errorf("%v: %d bytes added, %v; want %d", s, len(b)-16, err, want)
		}
	}
}

func TestSealRefusesWhatParseWouldRefuse(t *testing.T) {
	f := testField(t)
	k := testKey(t, SuiteXAES, f)
	wrap := *k
	wrap.wraps = true
	good := Header{Column: f.ID(), Type: 1}
	cases := []struct {
		name   string
		change func(h *Header, k **Key, b *Binding, p *[]byte)
	}{
		{"a short equality term", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.Equality = make([]byte, 15) }},
		{"a second term without a first", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.Second = make([]byte, 16) }},
		{"terms out of order", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.HasTerms, h.Terms = true, make([]byte, 16) }},
		{"half a term", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.HasTerms, h.Terms = true, make([]byte, 7) }},
		{"terms without a term set", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.Terms = make([]byte, 8) }},
		{"too many terms", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.HasTerms, h.Terms = true, make([]byte, 8*65536) }},
		{"a zero type", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.Type = 0x80 }},
		{"another column", func(h *Header, _ **Key, _ *Binding, _ *[]byte) { h.Column[0]++ }},
		{"another tenant", func(_ *Header, _ **Key, b *Binding, _ *[]byte) { b.Tenant = "other" }},
		{"a dropped key", func(_ *Header, k **Key, _ *Binding, _ *[]byte) { *k = nil }},
		{"a wrapping key", func(_ *Header, k **Key, _ *Binding, _ *[]byte) { *k = &wrap }},
		{"a plaintext above the limit", func(_ *Header, _ **Key, _ *Binding, p *[]byte) { *p = make([]byte, MaxPlaintext+1) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, key, b, p := good, k, &Binding{Tenant: "acme", Field: f}, []byte("x")
			if _, err := Seal(nil, &h, key, b, p); err != nil {
				t.Fatal(err)
			}
			c.change(&h, &key, b, &p)
			if out, err := Seal(nil, &h, key, b, p); err == nil || out != nil {
				t.Errorf("sealed as %d bytes", len(out))
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	value := loadVectors(t)[0].Value
	cases := []struct {
		name string
		at   int
		set  byte
		want error
	}{
		{"another magic", 0, 0xF6, ErrNotSealed},
		{"the reserved flag", 7, 0x80, ErrMalformed},
		{"a reserved key mode", 7, 0x60, ErrMalformed},
		{"a second term without a first", 7, 0x02, ErrMalformed},
		{"an unknown suite", 6, 99, ErrMalformed},
		{"the reserved suite", 6, byte(suiteChunked), ErrMalformed},
		{"a suite of another key mode", 6, byte(SuiteRow), ErrMalformed},
		{"a zero type", 5, 0, ErrMalformed},
		{"an array of nothing", 5, 0x80, ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := bytes.Clone(value)
			b[c.at] = c.set
			if _, err := Parse(b); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	t.Run("a zero column id", func(t *testing.T) {
		b := bytes.Clone(value)
		clear(b[1:5])
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		if _, err := Parse(nil); !errors.Is(err, ErrNotSealed) {
			t.Error(err)
		}
	})
}

func TestRewrapReplacesOnlyTheKeyReference(t *testing.T) {
	f := testField(t)
	raw := bytes.Repeat([]byte{9}, 32)
	one, _ := NewTenantKey(KeyID{1}, "acme", raw)
	two, _ := NewTenantKey(KeyID{2}, "acme", bytes.Repeat([]byte{8}, 32))
	for _, s := range []Suite{SuiteRow, SuiteRowHKDF} {
		from, _ := one.RowWrapKey(s, [SaltSize]byte{1})
		to, _ := two.RowWrapKey(s, [SaltSize]byte{2})
		k, err := NewRowKey(from, "ns")
		if err != nil {
			t.Fatal(err)
		}
		b := &Binding{Namespace: "ns", Tenant: "acme", Field: f}
		sealed, err := Seal(nil, &Header{Column: f.ID(), Type: 1}, k, b, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		v, _ := Parse(sealed)
		ref, err := RewrapRowKey(from, to, "ns", &v)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := Rewrap(nil, &v, ref)
		if err != nil {
			t.Fatal(err)
		}
		w, err := Parse(moved)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(v.raw[:v.keyRef], w.raw[:w.keyRef]) || !bytes.Equal(v.raw[v.nonceOff:], w.raw[w.nonceOff:]) {
			t.Error("more than the key reference has changed")
		}
		opener, err := RowKey(to, "ns", w.Wrapped())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open(nil, &w, opener, b); err != nil || string(got) != "secret" {
			t.Errorf("opened %q, %v", got, err)
		}
		if _, err := RowKey(from, "ns", w.Wrapped()); !errors.Is(err, ErrOpen) {
			t.Errorf("the old key unwraps the new reference: %v", err)
		}
		if _, err := RewrapRowKey(from, to, "other", &v); !errors.Is(err, ErrOpen) {
			t.Errorf("a row key of another namespace unwraps: %v", err)
		}
	}
}

func TestAWrappedKeyUnwrapsOnlyForItsPurpose(t *testing.T) {
	tk, _ := NewTenantKey(KeyID{1}, "0", bytes.Repeat([]byte{9}, 32))
	key := bytes.Repeat([]byte{7}, 32)
	for _, s := range []Suite{SuiteXAES, SuiteHKDF} {
		blob, err := tk.WrapKey(s, key, []byte("tenant a"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tk.UnwrapKey(blob, []byte("tenant a")); err != nil || !bytes.Equal(got, key) {
			t.Errorf("unwrapped %x, %v", got, err)
		}
		if _, err := tk.UnwrapKey(blob, []byte("tenant b")); !errors.Is(err, ErrOpen) {
			t.Errorf("unwraps for another tenant: %v", err)
		}
		for i := range len(blob) * 8 {
			b := bytes.Clone(blob)
			b[i/8] ^= 1 << (i % 8)
			if _, err := tk.UnwrapKey(b, []byte("tenant a")); !typed(err) {
				t.Fatalf("bit %d flipped: %v", i, err)
			}
		}
	}
}

func TestKeysPrintNothingOfThemselves(t *testing.T) {
	f := testField(t)
	raw := []byte("0123456789abcdef0123456789ABCDEF")
	tk, _ := NewTenantKey(KeyID{1}, "acme", raw)
	k, _ := tk.FieldKey(SuiteXAES, f, [SaltSize]byte{})
	for _, v := range []any{tk, k} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(format, v); len(s) > 80 || strings.Contains(s, "prk") || strings.Contains(s, "aead") {
				t.Errorf("%s of %T prints %s", format, v, s)
			}
		}
	}
}

func TestFieldIDs(t *testing.T) {
	a, _ := NewField("ab", "c")
	b, _ := NewField("a", "bc")
	if a.ID() == b.ID() {
		t.Error("table and column run into each other")
	}
	for _, bad := range []string{"", strings.Repeat("x", 256), "\xff"} {
		if _, err := NewField(bad, "c"); err == nil {
			t.Errorf("table id %q accepted", bad)
		}
		if _, err := NewField("t", bad); err == nil {
			t.Errorf("column id %q accepted", bad)
		}
	}
}
