package envelope

import (
	"bytes"
	"errors"
	"testing"
)

func TestABlankHasTheFormOfItsValueAndDoesNotOpen(t *testing.T) {
	for _, vec := range loadVectors(t) {
		t.Run(vec.Name, func(t *testing.T) {
			v, err := Parse(vec.Value)
			if err != nil {
				t.Fatal(err)
			}
			out := v.AppendBlank([]byte("in front"))
			blank, err := Parse(bytes.TrimPrefix(out, []byte("in front")))
			if err != nil {
				t.Fatal("a blank is no sealed value: ", err)
			}
			if len(blank.Bytes()) != len(v.Bytes()) || !bytes.Equal(blank.Bytes()[:fixedSize], v.Bytes()[:fixedSize]) ||
				blank.KeyID() != v.KeyID() || blank.RootKey() != v.RootKey() || blank.Tenant() != v.Tenant() {
				t.Error("length, header or names of the key differ")
			}
			if v.Blank() || blank.Blank() != (v.Mode() != ModeTenant) {
				t.Error("it is not told from a value")
			}
			for name, pair := range map[string][2][]byte{
				"term": {blank.Equality(), v.Equality()}, "second term": {blank.Second(), v.Second()},
				"wrapped key": {blank.Wrapped(), v.Wrapped()}, "ciphertext": {blank.Bytes()[v.nonceOff:], v.Bytes()[v.nonceOff:]},
			} {
				if len(pair[1]) > 0 && bytes.Equal(pair[0], pair[1]) {
					t.Errorf("the %s is still there", name)
				}
			}
			if _, terms := v.Terms(); len(terms) > 0 {
				if _, others := blank.Terms(); bytes.Equal(others, terms) {
					t.Error("the terms are still there")
				}
			}
			f, err := vec.fieldOf()
			if err != nil {
				t.Fatal(err)
			}
			b := Binding{Namespace: vec.Namespace, Tenant: vec.Tenant, Field: f}
			if _, err := Open(nil, &blank, keyOf(t, &vec, &v), &b); !errors.Is(err, ErrOpen) {
				t.Errorf("it opens: %v", err)
			}
		})
	}
}
