package codec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// jsonForm is json (the document as it was given) and jsonb (a version byte, then the document as PostgreSQL
// would print it).
type jsonForm struct{}

var _ form[[]byte] = jsonForm{}

// jsonbVersion is the first byte of jsonb's binary form; there has only been one.
const jsonbVersion = 1

// fromGo takes strings and bytes for documents. Other Go values come back from unwrap as json.RawMessage.
func (jsonForm) fromGo(_ Type, v any) ([]byte, bool, *fault) {
	switch x := v.(type) {
	case string:
		return []byte(x), true, nil
	case []byte:
		return x, true, nil
	case json.RawMessage:
		return x, true, nil
	}
	return nil, false, nil
}

func (jsonForm) fromText(_ Type, s string) ([]byte, *fault) { return []byte(s), nil }

// fromBinary gives the document without the version byte.
func (jsonForm) fromBinary(t Type, src []byte) ([]byte, *fault) {
	if t.kind == kindJSONB {
		if len(src) == 0 || src[0] != jsonbVersion {
			return nil, malformedBinary(t)
		}
		src = src[1:]
	}
	if !utf8.Valid(src) || !json.Valid(src) {
		return nil, malformedBinary(t)
	}
	return src, nil
}

func (jsonForm) fit(t Type, doc []byte) ([]byte, *fault) {
	if t.kind == kindJSONB {
		return normaliseJSON(nil, doc)
	}
	if !utf8.Valid(doc) {
		return nil, charactersFault(t)
	}
	if !json.Valid(doc) {
		return nil, malformedJSON()
	}
	return doc, nil
}

func (jsonForm) appendBinary(t Type, dst, doc []byte) []byte {
	if t.kind == kindJSONB {
		dst = append(dst, jsonbVersion)
	}
	return append(dst, doc...)
}

func (jsonForm) appendText(_ Type, dst, doc []byte) []byte { return append(dst, doc...) }
func (jsonForm) natural(_ Type, doc []byte) any            { return bytes.Clone(doc) }

func (jsonForm) scan(_ Type, doc []byte, p any) (bool, *fault) {
	switch d := p.(type) {
	case *json.RawMessage:
		*d = bytes.Clone(doc)
		return true, nil
	case pgtype.TextScanner:
		if err := d.ScanText(pgtype.Text{String: string(doc), Valid: true}); err != nil {
			return true, mismatch()
		}
		return true, nil
	}
	return false, nil
}

// assign unmarshals into a fresh value, so that nothing of an earlier row shines through. Strings and byte slices
// take the document itself, unless their type unmarshals itself.
func (jsonForm) assign(_ Type, doc []byte, rv reflect.Value) (bool, *fault) {
	if !unmarshalsItself(rv) && assignBytes(rv, func() []byte { return bytes.Clone(doc) }) {
		return true, nil
	}
	fresh := reflect.New(rv.Type())
	if err := json.Unmarshal(doc, fresh.Interface()); err != nil {
		return true, &fault{state: stateMismatch, reason: "the stored document does not fit the Go type (json.Unmarshal refused it)"}
	}
	rv.Set(fresh.Elem())
	return true, nil
}
