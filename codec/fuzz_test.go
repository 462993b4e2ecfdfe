package codec_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowseal/rowseal/codec"
)

// fuzzTypes is in a fixed order: the fuzzer's corpus refers to it by number.
func fuzzTypes(t testing.TB) []codec.Type {
	var types []codec.Type
	for _, word := range append(typeWords(), "varchar(3)", "char(5)", "numeric(10,2)", "numeric(3,-2)", "time(2)", "timestamp(0)", "timestamptz(3)", "interval(1)") {
		types = append(types, mustType(t, word), mustType(t, word+"[]"))
	}
	return types
}

// FuzzDecode gives arbitrary bytes to every type: nothing panics, and what is accepted is canonical after one
// round, whichever way it goes.
func FuzzDecode(f *testing.F) {
	types := fuzzTypes(f)
	index := map[string]uint8{}
	for i, typ := range types {
		index[typ.String()] = uint8(i)
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), []byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x7f\xff\xff\xff\x00\x00\x00\x01"))
	}
	for word, literals := range serverLiterals() {
		for _, literal := range literals {
			if i, ok := index[mustType(f, word).String()]; ok && len(literal) < 200 {
				if src, err := types[i].EncodeText(nil, literal); err == nil && len(src) < 1000 {
					f.Add(i, src)
				}
			}
		}
	}
	for word, list := range malformed() {
		for _, src := range list {
			f.Add(index[word], []byte(src))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, src []byte) {
		typ := types[int(n)%len(types)]
		for _, dst := range fuzzDestinations() {
			_ = typ.Decode(src, dst)
		}
		canonical, err := typ.EncodeBinary(nil, src)
		if err != nil {
			return
		}
		again, err := typ.EncodeBinary(nil, canonical)
		if err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%s %x becomes %x, which becomes %x, %v", typ, src, canonical, again, err)
		}
		text, err := typ.AppendText(nil, canonical)
		if err != nil {
			t.Fatalf("%s %x has no text: %v", typ, canonical, err)
		}
		if back, err := typ.EncodeText(nil, string(text)); err != nil || !bytes.Equal(back, canonical) {
			t.Fatalf("%s %x prints %q, which reads %x, %v", typ, canonical, text, back, err)
		}
		natural, err := typ.Natural(canonical)
		if err != nil {
			t.Fatalf("%s %x has no natural value: %v", typ, canonical, err)
		}
		if back, null, err := typ.Encode(nil, natural); err != nil || null || !bytes.Equal(back, canonical) {
			t.Fatalf("%s %x is %T %v, which encodes to %x, %v, %v", typ, canonical, natural, natural, back, null, err)
		}
	})
}

func fuzzDestinations() []any {
	return []any{
		new(any), new(string), new([]byte), new(int64), new(uint8), new(float32), new(bool), new(time.Time), new(time.Duration), new(big.Int), new([16]byte), new(netip.Prefix), new(json.RawMessage), new(person),
		new([]string), new([][]int), new([2]int), new(sql.NullString), new(sql.Null[[]any]), new(**int), new(custom), new(pgtype.Numeric), new(pgtype.Interval), new(pgtype.Array[string]), new(pgtype.FlatArray[any]),
	}
}

// FuzzEncodeText gives arbitrary text to every type.
func FuzzEncodeText(f *testing.F) {
	types := fuzzTypes(f)
	index := map[string]uint8{}
	for i, typ := range types {
		index[typ.String()] = uint8(i)
		f.Add(uint8(i), "")
	}
	for word, literals := range serverLiterals() {
		for _, literal := range literals {
			if i, ok := index[mustType(f, word).String()]; ok && len(literal) < 200 {
				f.Add(i, literal)
			}
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		typ := types[int(n)%len(types)]
		canonical, err := typ.EncodeText(nil, text)
		if err != nil {
			return
		}
		if again, err := typ.EncodeBinary(nil, canonical); err != nil || !bytes.Equal(again, canonical) {
			t.Fatalf("%s %q becomes %x, which becomes %x, %v", typ, text, canonical, again, err)
		}
		printed, err := typ.AppendText(nil, canonical)
		if err != nil {
			t.Fatalf("%s %x has no text: %v", typ, canonical, err)
		}
		if back, err := typ.EncodeText(nil, string(printed)); err != nil || !bytes.Equal(back, canonical) {
			t.Fatalf("%s %q prints %q, which reads %x, %v; want %x", typ, text, printed, back, err, canonical)
		}
	})
}

// FuzzJSONB normalises arbitrary text: it agrees with encoding/json on what is a document and what it means, and
// normalising twice changes nothing.
func FuzzJSONB(f *testing.F) {
	for _, doc := range jsonLiterals() {
		f.Add(doc)
	}
	typ := mustType(f, "jsonb")
	f.Fuzz(func(t *testing.T, doc string) {
		once, err := typ.EncodeText(nil, doc)
		if err != nil {
			if state := stateOf(err); state == "22P02" && utf8.ValidString(doc) && json.Valid([]byte(doc)) && !bytes.Contains([]byte(doc), []byte(`\u`)) {
				t.Fatalf("%q is JSON, but: %v", doc, err)
			}
			return
		}
		if !json.Valid([]byte(doc)) {
			t.Fatalf("%q is not JSON, but normalises to %q", doc, once)
		}
		twice, err := typ.EncodeBinary(nil, once)
		if err != nil || !bytes.Equal(twice, once) {
			t.Fatalf("%q normalises to %q and that to %q, %v", doc, once, twice, err)
		}
		var before, after any
		if err := json.Unmarshal([]byte(doc), &before); err != nil {
			return // a number beyond float64
		}
		if err := json.Unmarshal(once[1:], &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Fatalf("%q means %v, %q means %v, %v", doc, before, once, after, err)
		}
	})
}
