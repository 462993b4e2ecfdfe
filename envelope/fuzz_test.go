package envelope

import (
	"bytes"
	"testing"
)

// FuzzParse: whatever parses is written back as the same bytes, and nothing
// panics.
func FuzzParse(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add([]byte(v.Value))
	}
	long, _, _ := longNames(f)
	f.Add(long)
	f.Add([]byte{Magic})
	f.Add(append([]byte{Magic, 1, 2, 3, 4, 1, 1, 0x44, 0, 0, 0xff, 0xff}, make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if err != nil {
			if !typed(err) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if got := v.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("parsed %x, written back %x", b, got)
		}
		if v.Len() < 0 || v.Len() > MaxPlaintext {
			t.Fatalf("plaintext of %d bytes", v.Len())
		}
	})
}

// FuzzOpen: a changed vector does not open, and nothing panics.
func FuzzOpen(f *testing.F) {
	vectors := loadVectors(f)
	for i, v := range vectors {
		f.Add(uint8(i), 7, []byte(v.Value)[:9])
		f.Add(uint8(i), len(v.Value)-1, []byte{1})
	}
	f.Fuzz(func(t *testing.T, which uint8, at int, patch []byte) {
		v := vectors[int(which)%len(vectors)]
		b := bytes.Clone(v.Value)
		if at < 0 || at >= len(b) {
			return
		}
		b = append(b[:at], patch...)
		if len(b) < len(v.Value) {
			b = append(b, v.Value[len(b):]...)
		}
		_, err := openAs(&v, b)
		if bytes.Equal(b, v.Value) != (err == nil) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// FuzzUnpad: what Pad wrote is taken off again, and nothing panics.
func FuzzUnpad(f *testing.F) {
	f.Add([]byte("x"), uint8(16))
	f.Add([]byte{0x80, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, block uint8) {
		n := int(block) + 1
		padded := Pad(bytes.Clone(data), 0, n)
		got, err := Unpad(padded)
		if err != nil || !bytes.Equal(got, data) || len(padded)%n != 0 {
			t.Fatalf("%x padded to %x, then %x, %v", data, padded, got, err)
		}
		_, _ = Unpad(data)
	})
}
