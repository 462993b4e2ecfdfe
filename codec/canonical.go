package codec

// Family is 't' for text and varchar, 'i' for int8, and 0 where there is no equality.
func (t Type) Family() byte {
	switch {
	case t.array:
		return 0
	case t.kind == kindText || t.kind == kindVarchar:
		return 't'
	case t.kind == kindInt8:
		return 'i'
	}
	return 0
}

// HasEquality says whether t has a canonical form.
func (t Type) HasEquality() bool { return t.Family() != 0 }

// Canonical appends the canonical form of plain to dst.
func (t Type) Canonical(dst, plain []byte) ([]byte, error) {
	if !t.HasEquality() {
		return dst, encodeError(t, "binary", mismatch())
	}
	return append(append(dst, t.Family()), plain...), nil
}

// Comparand appends the canonical form of an operand to dst.
func (t Type) Comparand(dst []byte, v any) (canonical []byte, null bool, err error) {
	if t.kind == kindVarchar {
		t = Type{kind: kindText}
	}
	plain, null, err := t.Encode(nil, v)
	if err != nil || null {
		return dst, null, err
	}
	canonical, err = t.Canonical(dst, plain)
	return canonical, false, err
}
