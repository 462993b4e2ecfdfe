package rotate

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// encodeKey writes a key as the journal keeps it: a JSON array of texts, each with a letter before it that
// says what it is: i integer, u unsigned, f float, t text, s text that JSON cannot hold, and b bytes, both in
// base64. nil, for no key, stays nil.
func encodeKey(key []any) ([]byte, error) {
	if key == nil {
		return nil, nil
	}
	texts := make([]string, len(key))
	for i, v := range key {
		switch v := v.(type) {
		case int64:
			texts[i] = "i" + strconv.FormatInt(v, 10)
		case uint64:
			texts[i] = "u" + strconv.FormatUint(v, 10)
		case float64:
			texts[i] = "f" + strconv.FormatFloat(v, 'x', -1, 64)
		case string:
			// Not text of UTF-8: JSON would replace what it cannot say.
			texts[i] = "s" + base64.StdEncoding.EncodeToString([]byte(v))
			if isJSONText(v) {
				texts[i] = "t" + v
			}
		case []byte:
			texts[i] = "b" + base64.StdEncoding.EncodeToString(v)
		default:
			return nil, fmt.Errorf("rowseal: internal error: a key of type %T", v)
		}
	}
	return json.Marshal(texts)
}

// isJSONText reports whether v is the same after a way through JSON.
func isJSONText(v string) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false
	}
	var back string
	return json.Unmarshal(b, &back) == nil && back == v
}

var errKey = errors.New("the journal holds a key that this version does not know; cancel the job and start it anew")

// decodeKey reads what encodeKey wrote, for a key of n columns.
func decodeKey(b []byte, n int) ([]any, error) {
	if b == nil {
		return nil, nil
	}
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil || texts == nil || len(texts) != n {
		return nil, errKey
	}
	key := make([]any, n)
	for i, t := range texts {
		if t == "" {
			return nil, errKey
		}
		var err error
		if key[i], err = decodeKeyPart(t[0], t[1:]); err != nil {
			return nil, errKey
		}
	}
	return key, nil
}

func decodeKeyPart(kind byte, text string) (any, error) {
	switch kind {
	case 'i':
		return strconv.ParseInt(text, 10, 64)
	case 'u':
		return strconv.ParseUint(text, 10, 64)
	case 'f':
		return strconv.ParseFloat(text, 64)
	case 't':
		return text, nil
	case 's':
		b, err := base64.StdEncoding.DecodeString(text)
		return string(b), err
	case 'b':
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, errKey
}
