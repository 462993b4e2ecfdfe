package field

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// LookupTag returns what stands in the quotes of a field's `rowseal:"…"` tag,
// for [ParseTag], and whether there is one.
//
// Unlike [reflect.StructTag.Lookup] it does not pass over a tag that is meant
// but not well-formed, such as `rowseal: "seal"` or `Rowseal:"seal"`: the
// column would be written in clear, without a word.
func LookupTag(tag reflect.StructTag) (value string, ok bool, err error) {
	rest := strings.TrimLeft(string(tag), " ")
	for rest != "" {
		key, quoted, after := cutTag(rest)
		if key == "" {
			if strings.Contains(strings.ToLower(rest), tagKey) {
				return "", false, errors.New("the struct tag is malformed; write `rowseal:\"…\"`, without a space after the " +
					"colon, with one between tags")
			}
			return value, ok, nil
		}
		rest = strings.TrimLeft(after, " ")
		if !strings.EqualFold(key, tagKey) {
			continue
		}
		switch {
		case key != tagKey:
			return "", false, fmt.Errorf("the struct tag's key is %q; write %q", key, tagKey)
		case ok:
			return "", false, errors.New("the struct tag has two rowseal keys; join them with a comma")
		}
		if value, err = strconv.Unquote(quoted); err != nil {
			return "", false, errors.New("the text of the rowseal tag is not a Go string")
		}
		ok = true
	}
	return value, ok, nil
}

// cutTag takes the first key:"value" off a struct tag, by the rules of
// [reflect.StructTag]; key is "" where the tag is not well-formed.
func cutTag(s string) (key, quoted, rest string) {
	i := strings.IndexFunc(s, func(c rune) bool { return c <= ' ' || c == ':' || c == '"' || c == 0x7f })
	if i <= 0 || !strings.HasPrefix(s[i:], `:"`) {
		return "", "", ""
	}
	key, s = s[:i], s[i+1:]
	for end := 1; end < len(s); end++ {
		switch s[end] {
		case '\\':
			end++
		case '"':
			return key, s[:end+1], s[end+1:]
		}
	}
	return "", "", ""
}
