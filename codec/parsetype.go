package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Limits of modifiers, PostgreSQL's own.
const (
	maxCharacters = 10485760
	maxPrecision  = 1000
	maxSeconds    = 6
)

// acceptedWords is what the error for an unknown word lists.
const acceptedWords = "text, varchar(n), char(n), bytea, bool, int2, int4, int8, float4, float8, numeric(p,s), date, time(p), " +
	"timestamp(p), timestamptz(p), interval(p), uuid, json, jsonb, inet, or the SQL names of these " +
	"(character varying, character, bpchar, boolean, smallint, integer, int, bigint, real, double precision, float, " +
	"decimal, time without time zone, timestamp with time zone, timestamp without time zone); " +
	"an array has [] at its end"

// ParseType reads a type as it is written in a policy, in a struct tag or in SQL: "text", "varchar(45)",
// "numeric(10,2)", "timestamp(3) with time zone", "int4[]". Case and spacing do not matter. The error for an
// unknown word lists the accepted ones.
//
// As in PostgreSQL, "char" is char(1), "bpchar" is a char without a length, "float(24)" is float4 and "float" is
// float8; an array's dimensions are not part of its type, so "int4[]" takes any number of them.
func ParseType(s string) (Type, error) {
	words, mods, array, err := splitType(s)
	if err != nil {
		return Type{}, fmt.Errorf("codec: type %q: %w", s, err)
	}
	t, ok := wordType(words)
	if !ok {
		return Type{}, fmt.Errorf("codec: unknown type %q; accepted are %s", s, acceptedWords)
	}
	t.array = array
	t, err = applyModifiers(t, words, mods)
	if err != nil {
		return Type{}, fmt.Errorf("codec: type %q: %w", s, err)
	}
	return t, nil
}

// splitType takes "Timestamp (3) with time zone []" apart into "timestamp with time zone", [3], true.
func splitType(s string) (words string, mods []int, array bool, err error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutSuffix(s, "]"); ok {
		rest, ok = strings.CutSuffix(strings.TrimSpace(rest), "[")
		if !ok {
			return "", nil, false, errors.New("an array is written with [] at the end, without a size")
		}
		s, array = strings.TrimSpace(rest), true
		if strings.HasSuffix(s, "]") {
			return "", nil, false, errors.New("write one [] only: the number of dimensions is not part of a type")
		}
	}
	head, rest, found := strings.Cut(s, "(")
	if found {
		inside, tail, closed := strings.Cut(rest, ")")
		if !closed {
			return "", nil, false, errors.New("a closing parenthesis is missing")
		}
		if mods, err = parseModifiers(inside); err != nil {
			return "", nil, false, err
		}
		head += " " + tail
	}
	return strings.Join(strings.Fields(strings.ToLower(head)), " "), mods, array, nil
}

func parseModifiers(s string) ([]int, error) {
	parts := strings.Split(s, ",")
	if len(parts) > 2 {
		return nil, errors.New("at most two numbers go between the parentheses")
	}
	mods := make([]int, 0, len(parts))
	for _, p := range parts {
		n, err := strconv.ParseInt(strings.TrimSpace(p), 10, 32)
		if err != nil {
			return nil, errors.New("whole numbers go between the parentheses, as in varchar(45) or numeric(10,2)")
		}
		mods = append(mods, int(n))
	}
	return mods, nil
}

func wordType(words string) (Type, bool) {
	of := func(k kind) (Type, bool) { return Type{kind: k}, true }
	switch words {
	case "character varying":
		return of(kindVarchar)
	case "character", "bpchar":
		return of(kindChar)
	case "boolean":
		return of(kindBool)
	case "smallint":
		return of(kindInt2)
	case "integer", "int":
		return of(kindInt4)
	case "bigint":
		return of(kindInt8)
	case "real":
		return of(kindFloat4)
	case "float", "double precision":
		return of(kindFloat8)
	case "decimal", "dec":
		return of(kindNumeric)
	case "time without time zone":
		return of(kindTime)
	case "timestamp without time zone":
		return of(kindTimestamp)
	case "timestamp with time zone":
		return of(kindTimestamptz)
	}
	for k := kindText; k <= lastKind; k++ {
		if k.name() == words {
			return of(k)
		}
	}
	return Type{}, false
}

// applyModifiers checks the numbers in parentheses and puts them into t.
func applyModifiers(t Type, words string, mods []int) (Type, error) {
	if words == "float" {
		return floatOfBits(t, mods)
	}
	if len(mods) == 0 {
		if t.kind == kindChar && words != "bpchar" {
			t.modified, t.size = true, 1
		}
		return t, nil
	}
	switch {
	case t.kind == kindVarchar || t.kind == kindChar:
		return withSize(t, mods, 1, maxCharacters, "a length in characters")
	case t.kind.timed():
		return withSize(t, mods, 0, maxSeconds, "a number of fractional digits of a second")
	case t.kind == kindNumeric:
		return withPrecision(t, mods)
	}
	return Type{}, errors.New("this type takes no number in parentheses")
}

func withSize(t Type, mods []int, low, high int, what string) (Type, error) {
	if len(mods) != 1 || mods[0] < low || mods[0] > high {
		return Type{}, fmt.Errorf("between the parentheses goes %s, %d to %d", what, low, high)
	}
	t.modified, t.size = true, int32(mods[0])
	return t, nil
}

func withPrecision(t Type, mods []int) (Type, error) {
	if mods[0] < 1 || mods[0] > maxPrecision {
		return Type{}, fmt.Errorf("the precision is 1 to %d", maxPrecision)
	}
	t.modified, t.size = true, int32(mods[0])
	if len(mods) == 2 {
		if mods[1] < -maxPrecision || mods[1] > maxPrecision {
			return Type{}, fmt.Errorf("the scale is %d to %d", -maxPrecision, maxPrecision)
		}
		t.scale = int16(mods[1])
	}
	return t, nil
}

// floatOfBits is SQL's float(n): n bits of mantissa choose between float4 and float8.
func floatOfBits(t Type, mods []int) (Type, error) {
	if len(mods) == 0 {
		return t, nil
	}
	if len(mods) != 1 || mods[0] < 1 || mods[0] > 53 {
		return Type{}, errors.New("float takes a number of bits, 1 to 53")
	}
	if mods[0] <= 24 {
		t.kind = kindFloat4
	}
	return t, nil
}
