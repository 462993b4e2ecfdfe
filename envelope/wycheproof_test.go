package envelope

import (
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// wycheproofCase holds the fields of all three algorithms.
type wycheproofCase struct {
	ID                        int `json:"tcId"`
	Key, IV, AAD, Msg, CT     hexString
	IKM, Salt, Info, OKM, Tag hexString
	Size                      int
	Result                    string
}

type hexString []byte

func (h *hexString) UnmarshalText(t []byte) (err error) {
	*h, err = hex.DecodeString(string(t))
	return err
}

// wycheproofGroups calls do for every case of a file and fails if too few ran.
func wycheproofGroups(t *testing.T, file string, atLeast int, do func(t *testing.T, tagSize int, c *wycheproofCase) (ran bool)) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		TestGroups []struct {
			TagSize int
			Tests   []wycheproofCase
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, g := range doc.TestGroups {
		for i := range g.Tests {
			if do(t, g.TagSize, &g.Tests[i]) {
				ran++
			}
		}
	}
	if ran < atLeast {
		t.Fatalf("only %d cases of %s apply, want at least %d", ran, file, atLeast)
	}
}

// AES-256-GCM runs through newGCM, which builds every AEAD of this package.
func TestWycheproofAESGCM(t *testing.T) {
	wycheproofGroups(t, "aes_gcm_test.json", 60, func(t *testing.T, tagBits int, c *wycheproofCase) bool {
		if len(c.Key) != keySize || len(c.IV) != gcmNonceSize || tagBits != 8*tagSize {
			return false
		}
		aead, err := newGCM(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := bytes.Join([][]byte{c.IV, c.CT, c.Tag}, nil)
		got, err := aead.Open(nil, nil, sealed, c.AAD)
		if (err == nil) != (c.Result == "valid") || err == nil && !bytes.Equal(got, c.Msg) {
			t.Errorf("case %d (%s): opened %x, %v", c.ID, c.Result, got, err)
		}
		return true
	})
}

// HKDF-SHA256 runs through the extract and expand of every derivation.
func TestWycheproofHKDF(t *testing.T) {
	wycheproofGroups(t, "hkdf_sha256_test.json", 60, func(t *testing.T, _ int, c *wycheproofCase) bool {
		if fips140.Enforced() && len(c.Salt) > 0 && len(c.Salt) < 14 || fips140.Enforced() && len(c.IKM) < 14 {
			return false // keys below 112 bits are not allowed in this mode
		}
		prk, err := hkdf.Extract(sha256.New, c.IKM, c.Salt)
		if err != nil {
			t.Fatal(err)
		}
		okm, err := hkdf.Expand(sha256.New, prk, string(c.Info), c.Size)
		if (err == nil) != (c.Result == "valid") || err == nil && !bytes.Equal(okm, c.OKM) {
			t.Errorf("case %d (%s): %x, %v", c.ID, c.Result, okm, err)
		}
		return true
	})
}

// HMAC-SHA256 is the extract step of HKDF, with the salt as its key.
func TestWycheproofHMAC(t *testing.T) {
	wycheproofGroups(t, "hmac_sha256_test.json", 60, func(t *testing.T, tagBits int, c *wycheproofCase) bool {
		if len(c.Key) == 0 || fips140.Enforced() && len(c.Key) < 14 || fips140.Enforced() && len(c.Msg) < 14 {
			return false
		}
		tag, err := hkdf.Extract(sha256.New, c.Msg, c.Key)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(tag[:tagBits/8], c.Tag) != (c.Result == "valid") {
			t.Errorf("case %d (%s): tag %x", c.ID, c.Result, tag)
		}
		return true
	})
}
