package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

// writeVectors makes TestVectors write the file anew. Vectors that were ever
// released stay as they are: new ones are added at the end.
var writeVectors = flag.Bool("write-vectors", false, "write testdata/vectors.json from the reference implementation")

const vectorsFile = "testdata/vectors.json"

// hexBytes is written as hex in JSON.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(t []byte) (err error) {
	*h, err = hex.DecodeString(string(t))
	return err
}

// vector holds the inputs of a value, every intermediate value of
// docs/FORMAT.md, and the value.
type vector struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Tenant    string   `json:"tenant"`
	Table     string   `json:"table"`
	Column    string   `json:"column"`
	Type      byte     `json:"type"`
	Suite     Suite    `json:"suite"`
	Mode      Mode     `json:"mode"`
	TenantKey hexBytes `json:"tenant_key,omitempty"`
	KeyID     hexBytes `json:"key_id,omitempty"`
	Equality  hexBytes `json:"equality,omitempty"`
	Second    hexBytes `json:"second,omitempty"`
	HasTerms  bool     `json:"has_terms,omitempty"`
	TermSet   uint16   `json:"term_set,omitempty"`
	Terms     hexBytes `json:"terms,omitempty"`
	Claim     hexBytes `json:"claim,omitempty"`
	Pad       int      `json:"pad,omitempty"`
	Data      hexBytes `json:"data"`
	Nonce     hexBytes `json:"nonce"`
	RowKey    hexBytes `json:"row_key,omitempty"`
	WrapNonce hexBytes `json:"wrap_nonce,omitempty"`
	RootKey   string   `json:"root_key_id,omitempty"`
	KMSBlob   hexBytes `json:"kms_wrapped_key,omitempty"`

	// Where the equality term is derived, and not given.
	IndexRecordKey hexBytes `json:"index_record_key,omitempty"` // the 32 bytes of the index record's key
	IndexDomain    string   `json:"index_domain,omitempty"`
	Canonical      hexBytes `json:"canonical,omitempty"`
	IndexPRK       hexBytes `json:"index_prk,omitempty"`
	IndexInfo      hexBytes `json:"index_key_info,omitempty"`
	IndexKey       hexBytes `json:"index_key,omitempty"`

	ColumnID    hexBytes `json:"column_id"`
	PRK         hexBytes `json:"prk,omitempty"`
	Commitment  hexBytes `json:"commitment,omitempty"`
	FieldInfo   hexBytes `json:"field_key_info,omitempty"`
	FieldKey    hexBytes `json:"field_key,omitempty"`
	FirstSalt   hexBytes `json:"first_pool_salt,omitempty"`
	WrapInfo    hexBytes `json:"wrap_key_info,omitempty"`
	WrapKey     hexBytes `json:"wrap_key,omitempty"`
	WrapDerived hexBytes `json:"wrap_derived_key,omitempty"`
	WrapAD      hexBytes `json:"wrap_associated_data,omitempty"`
	WrappedKey  hexBytes `json:"wrapped_row_key,omitempty"`
	DataKey     hexBytes `json:"data_key"` // the AES-256-GCM key of the value
	Header      hexBytes `json:"header"`
	AD          hexBytes `json:"associated_data"`
	Plaintext   hexBytes `json:"plaintext"`
	Value       hexBytes `json:"value"`
}

// The reference implementation follows docs/FORMAT.md line by line and uses
// none of the package's code but its constants.

func lp(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, byte(len(p)>>8), byte(len(p)))
		out = append(out, p...)
	}
	return out
}

func (v *vector) info(purpose string, suite Suite, table, column string) []byte {
	return lp([]byte("rowseal/derive/v1"), []byte(purpose), []byte{byte(suite)}, []byte(table), []byte(column))
}

func (v *vector) expand(t testing.TB, info []byte, n int) []byte {
	t.Helper()
	k, err := hkdf.Expand(sha256.New, v.PRK, string(info), n)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func refDerive(t testing.TB, s Suite, key, salt []byte) []byte {
	t.Helper()
	if s == SuiteHKDF {
		k, err := hkdf.Key(sha256.New, key, salt, "rowseal/hkdf-gcm/v1", 32)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	var l, k1 [16]byte
	block.Encrypt(l[:], l[:])
	for i := range k1 {
		k1[i] = l[i] << 1
		if i < 15 {
			k1[i] |= l[i+1] >> 7
		}
	}
	if l[0]&0x80 != 0 {
		k1[15] ^= 0x87
	}
	var out []byte
	for i := byte(1); i <= 2; i++ {
		m := append([]byte{0, i, 'X', 0}, salt...)
		for j := range m {
			m[j] ^= k1[j]
		}
		block.Encrypt(m, m)
		out = append(out, m...)
	}
	return out
}

func refSeal(t testing.TB, key, nonce, plaintext, ad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(nil, nonce, plaintext, ad)
}

// build computes everything from the inputs.
func (v *vector) build(t testing.TB) {
	t.Helper()
	sum := sha256.Sum256(lp([]byte(v.Table), []byte(v.Column)))
	v.ColumnID = sum[:4]
	if v.Mode != ModeKMS {
		prk, err := hkdf.Extract(sha256.New, v.TenantKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		v.PRK = prk
		v.Commitment = v.expand(t, v.info("commit", 0, "", ""), 32)
	}
	v.deriveTerm(t)
	v.Header = v.header()
	keyRef := v.keyRef(t)
	bound := v.Header
	if v.Mode == ModeTenant {
		bound = append(bytes.Clone(v.Header), keyRef...)
	}
	v.AD = append(lp([]byte("rowseal/value/v1"), []byte(v.Namespace), []byte(v.Tenant), []byte(v.Table), []byte(v.Column)), bound...)
	v.Plaintext = append(bytes.Clone(v.Claim), v.Data...)
	if v.Pad > 0 {
		v.Plaintext = append(v.Plaintext, 0x80)
		for (len(v.Plaintext)-len(v.Claim))%v.Pad != 0 {
			v.Plaintext = append(v.Plaintext, 0)
		}
	}
	gcmNonce := v.Nonce[len(v.Nonce)-12:]
	v.Value = append(bytes.Clone(v.Header), keyRef...)
	v.Value = append(v.Value, v.Nonce...)
	v.Value = append(v.Value, refSeal(t, v.DataKey, gcmNonce, v.Plaintext, v.AD)...)
}

// deriveTerm computes the equality term from the index record's key.
func (v *vector) deriveTerm(t testing.TB) {
	t.Helper()
	if v.IndexRecordKey == nil {
		return
	}
	var err error
	if v.IndexPRK, err = hkdf.Extract(sha256.New, v.IndexRecordKey, nil); err != nil {
		t.Fatal(err)
	}
	v.IndexInfo = lp([]byte("rowseal/derive/v1"), []byte("index"), []byte("equality"), []byte(v.Table), []byte(v.Column))
	if v.IndexDomain != "" {
		v.IndexInfo = lp([]byte("rowseal/derive/v1"), []byte("index-domain"), []byte("equality"), []byte(v.IndexDomain))
	}
	if v.IndexKey, err = hkdf.Expand(sha256.New, v.IndexPRK, string(v.IndexInfo), 32); err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, v.IndexKey)
	mac.Write(v.Canonical)
	v.Equality = mac.Sum(nil)[:16]
}

func (v *vector) header() []byte {
	flags := byte(v.Mode) << 5
	for i, set := range []bool{v.Equality != nil, v.Second != nil, v.HasTerms, v.Claim != nil, v.Pad > 0} {
		if set {
			flags |= 1 << i
		}
	}
	h := append([]byte{0xF5}, v.ColumnID...)
	h = append(h, v.Type, byte(v.Suite), flags)
	h = append(append(h, v.Equality...), v.Second...)
	if v.HasTerms {
		n := len(v.Terms) / 8
		h = append(h, byte(v.TermSet>>8), byte(v.TermSet), byte(n>>8), byte(n))
		h = append(h, v.Terms...)
	}
	return h
}

// keyRef computes the keys and returns the key reference.
func (v *vector) keyRef(t testing.TB) []byte {
	t.Helper()
	switch v.Mode {
	case ModeTenant:
		v.FieldInfo = v.info("seal", v.Suite, v.Table, v.Column)
		v.FieldKey = v.expand(t, v.FieldInfo, 32)
		v.FirstSalt = v.expand(t, v.info("salts", v.Suite, v.Table, v.Column), 192)[:12]
		v.DataKey = refDerive(t, v.Suite, v.FieldKey, v.Nonce[:12])
		return v.KeyID
	case ModeRow:
		wrapSuite := SuiteXAES
		if v.Suite == SuiteRowHKDF {
			wrapSuite = SuiteHKDF
		}
		v.WrapInfo = v.info("wrap-row", wrapSuite, "", "")
		v.WrapKey = v.expand(t, v.WrapInfo, 32)
		v.FirstSalt = v.expand(t, v.info("wrap-row-salts", wrapSuite, "", ""), 192)[:12]
		v.WrapDerived = refDerive(t, wrapSuite, v.WrapKey, v.WrapNonce[:12])
		v.WrapAD = lp([]byte("rowseal/row-key/v1"), []byte(v.Namespace), []byte(v.Tenant), []byte("wrap-row"), v.KeyID)
		v.WrappedKey = append(bytes.Clone(v.WrapNonce), refSeal(t, v.WrapDerived, v.WrapNonce[12:], v.RowKey, v.WrapAD)...)
		v.DataKey = v.RowKey
		return append(bytes.Clone(v.KeyID), v.WrappedKey...)
	default:
		v.DataKey = v.RowKey
		ref := append([]byte{byte(len(v.RootKey))}, v.RootKey...)
		ref = append(append(ref, byte(len(v.Tenant))), v.Tenant...)
		ref = append(ref, byte(len(v.KMSBlob)>>8), byte(len(v.KMSBlob)))
		return append(ref, v.KMSBlob...)
	}
}

// fill returns n bytes that differ from vector to vector and use to use.
func fill(seed string, n int) []byte {
	out := make([]byte, 0, n+32)
	for i := byte(0); len(out) < n; i++ {
		sum := sha256.Sum256(append([]byte(seed), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func (v vector) named(name string) vector {
	v.Name = name
	v.TenantKey, v.KeyID = fill(name+"/tenant key", 32), fill(name+"/key id", 8)
	v.Nonce = fill(name+"/nonce", v.Suite.nonceLen())
	if v.Mode != ModeTenant {
		v.RowKey = fill(name+"/row key", 32)
	}
	if v.Mode == ModeRow {
		v.WrapNonce = fill(name+"/wrap nonce", 24)
	}
	if v.Mode == ModeKMS {
		v.TenantKey, v.KeyID = nil, nil
		v.RootKey = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		v.KMSBlob = fill(name+"/wrapped", 184)
	}
	return v
}

// vectorInputs covers every suite, key mode and flag.
func vectorInputs() (list []vector) {
	base := vector{Namespace: "", Tenant: "default", Table: "users", Column: "ssn", Type: 1, Data: []byte("078-05-1120")}
	suites := []struct {
		name  string
		suite Suite
		mode  Mode
	}{
		{"tenant key, XAES-256-GCM", SuiteXAES, ModeTenant},
		{"tenant key, HKDF-SHA256 + AES-256-GCM", SuiteHKDF, ModeTenant},
		{"row key, wrapped by XAES-256-GCM", SuiteRow, ModeRow},
		{"row key, wrapped by HKDF-SHA256 + AES-256-GCM", SuiteRowHKDF, ModeRow},
		{"row key, wrapped by a KMS", SuiteRow, ModeKMS},
	}
	for _, s := range suites {
		v := base
		v.Suite, v.Mode = s.suite, s.mode
		list = append(list, v.named(s.name))

		e := v
		e.Data = []byte{}
		list = append(list, e.named(s.name+", empty"))

		f := v
		f.Namespace, f.Tenant, f.Table, f.Column = "prod/eu", "7f1c9a52-0d7e-4c43-9a39-6a2b1c9d8e10", "Kunden", "straße"
		f.Equality, f.Second = fill("equality", 16), fill("second", 16)
		f.HasTerms, f.TermSet = true, 3
		f.Terms = []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0, 0, 0, 0, 0, 0, 0}
		f.Claim, f.Pad = []byte{0, 0, 0, 0, 0, 0, 0x30, 0x39}, 32
		list = append(list, f.named(s.name+", every flag"))
	}
	flags := []struct {
		name string
		set  func(*vector)
	}{
		{"equality term", func(v *vector) { v.Equality = fill("e", 16) }},
		{"two equality terms", func(v *vector) { v.Equality, v.Second = fill("e", 16), fill("s", 16) }},
		{"term set without terms", func(v *vector) { v.HasTerms, v.TermSet = true, 65535 }},
		{"row claim", func(v *vector) { v.Claim = fill("claim", 8) }},
		{"padded, empty", func(v *vector) { v.Pad, v.Data = 16, []byte{} }},
		{"padded by a whole block", func(v *vector) { v.Pad, v.Data = 16, bytes.Repeat([]byte{7}, 16) }},
		{"array type", func(v *vector) { v.Type, v.Data = 0x81, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25} }},
	}
	for _, f := range flags {
		v := base
		v.Suite, v.Mode = SuiteXAES, ModeTenant
		f.set(&v)
		list = append(list, v.named(f.name))
	}
	return append(list, termInputs(base)...)
}

// termInputs derive their equality terms. What the canonical bytes mean does
// not matter here.
func termInputs(base vector) (list []vector) {
	base.Suite, base.Mode = SuiteXAES, ModeTenant
	base.IndexRecordKey = fill("index record", 32)
	base.Canonical = append([]byte{1}, base.Data...)
	column, domain, row, empty := base, base, base, base
	domain.IndexDomain = "ssn"
	row.Suite, row.Mode = SuiteRow, ModeRow
	row.Claim, row.Pad = []byte{0, 0, 0, 0, 0, 0, 0x30, 0x39}, 32
	empty.Table, empty.Column, empty.Data, empty.Canonical = "Kunden", "straße", []byte{}, []byte{1}
	return append(list, column.named("derived equality term of a column"),
		domain.named("derived equality term of a domain"),
		row.named("derived equality term, row key, row claim, padded"),
		empty.named("derived equality term of an empty text"))
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestVectorsFollowFromTheSpecification(t *testing.T) {
	if fips140.Enforced() {
		t.Log("sealing with fixed nonces is not allowed in this mode; opening is tested by TestVectorsOpen")
		return
	}
	if *writeVectors {
		list := vectorInputs()
		for i := range list {
			list[i].build(t)
		}
		b, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored := loadVectors(t)
	if len(stored) < len(vectorInputs()) {
		t.Fatalf("%d vectors, want at least %d", len(stored), len(vectorInputs()))
	}
	for _, want := range stored {
		got := want
		got.build(t)
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Errorf("%s: the stored vector differs from the specification", want.Name)
		}
	}
}

// keyOf gets the key for v as a keyring would, from what the value says.
func keyOf(t testing.TB, v *vector, parsed *Value) *Key {
	t.Helper()
	k, err := v.key(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (v *vector) fieldOf() (*Field, error) { return NewField(v.Table, v.Column) }

func (v *vector) key(parsed *Value) (*Key, error) {
	if v.Mode == ModeKMS {
		return KMSKey(v.Tenant, v.RootKey, v.KMSBlob, v.RowKey)
	}
	tk, err := NewTenantKey(KeyID(v.KeyID), v.Tenant, v.TenantKey)
	if err != nil {
		return nil, err
	}
	if v.Mode == ModeTenant {
		f, err := v.fieldOf()
		if err != nil {
			return nil, err
		}
		return tk.FieldKey(v.Suite, f, parsed.Salt())
	}
	wrap, err := tk.RowWrapKey(v.Suite, parsed.WrapSalt())
	if err != nil {
		return nil, err
	}
	return RowKey(wrap, v.Namespace, parsed.Wrapped())
}

func TestVectorsOpen(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			parsed, err := Parse(v.Value)
			if err != nil {
				t.Fatal(err)
			}
			f, err := v.fieldOf()
			if err != nil {
				t.Fatal(err)
			}
			b := &Binding{Namespace: v.Namespace, Tenant: v.Tenant, Field: f}
			got, err := Open(nil, &parsed, keyOf(t, &v, &parsed), b)
			if err != nil || !bytes.Equal(got, v.Plaintext) {
				t.Fatalf("opened %x, %v; want %x", got, err, v.Plaintext)
			}
			if id := f.ID(); !bytes.Equal(id[:], v.ColumnID) {
				t.Errorf("column id %x, want %x", id, v.ColumnID)
			}
			checkPlaintext(t, &v, &parsed, got)
			checkDerivation(t, &v, f)
		})
	}
}

func checkPlaintext(t *testing.T, v *vector, parsed *Value, got []byte) {
	t.Helper()
	if parsed.Flags&FlagClaim != 0 {
		claim, rest, err := SplitClaim(got)
		if err != nil || !bytes.Equal(claim[:], v.Claim) {
			t.Errorf("claim %x, %v; want %x", claim, err, v.Claim)
		}
		got = rest
	}
	if parsed.Flags&FlagPadded != 0 {
		var err error
		if got, err = Unpad(got); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(got, v.Data) {
		t.Errorf("data %x, want %x", got, v.Data)
	}
}

func checkIndexKey(t *testing.T, v *vector) {
	t.Helper()
	if v.IndexRecordKey == nil {
		return
	}
	tk := mustTenantKey(t, v.IndexRecordKey)
	got, err := tk.IndexKey("equality", v.Table, v.Column)
	if v.IndexDomain != "" {
		got, err = tk.DomainIndexKey("equality", v.IndexDomain)
	}
	if err != nil || !bytes.Equal(got, v.IndexKey) {
		t.Errorf("index key %x, %v; want %x", got, err, v.IndexKey)
	}
}

func checkDerivation(t *testing.T, v *vector, f *Field) {
	t.Helper()
	checkIndexKey(t, v)
	if v.Mode == ModeKMS {
		return
	}
	tk, err := NewTenantKey(KeyID(v.KeyID), v.Tenant, v.TenantKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tk.Commitment()
	if err != nil || !bytes.Equal(c[:], v.Commitment) {
		t.Errorf("commitment %x, %v; want %x", c, err, v.Commitment)
	}
	if v.Mode == ModeRow {
		f = nil
	}
	pool, err := tk.Salts(v.Suite, f)
	if err != nil || !bytes.Equal(pool[0][:], v.FirstSalt) {
		t.Errorf("first salt %x, %v; want %x", pool[0], err, v.FirstSalt)
	}
}
