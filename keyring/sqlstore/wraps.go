package sqlstore

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/kms"
)

// The column wraps is JSON, so that people and other programs can read it:
//
//	[{"root":"local:5f0c…/2","blob":"base64"},{"root":"arn:aws:kms:…","blob":"base64"}]
//
// It is written in this one way, without spaces and in the order of the
// record, and read in no other: Update compares texts.

// maxWraps is how many root keys may wrap one key, and maxText more bytes than
// they need in the longest case.
const (
	maxWraps = 64
	maxText  = maxWraps * 2 * (kms.MaxBlob + kms.MaxRootKey)
)

const (
	wrapHead = `{"root":"`
	wrapMid  = `","blob":"`
	wrapTail = `"}`
)

func formatWraps(wraps []kms.Wrapped) (string, error) {
	if len(wraps) > maxWraps {
		return "", fmt.Errorf("%d wraps; up to %d are allowed", len(wraps), maxWraps)
	}
	for i, w := range wraps {
		if err := w.Validate(); err != nil {
			return "", fmt.Errorf("wrap %d: %w", i+1, err)
		}
	}
	return joinWraps(wraps), nil
}

// joinWraps writes the JSON. Validate has seen to it that a root key's name is
// printable ASCII.
func joinWraps(wraps []kms.Wrapped) string {
	b := []byte{'['}
	for i, w := range wraps {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, wrapHead...)
		b = append(b, escapeRoot(w.RootKey)...)
		b = append(b, wrapMid...)
		b = base64.StdEncoding.AppendEncode(b, w.Blob)
		b = append(b, wrapTail...)
	}
	return string(append(b, ']'))
}

// escapeRoot escapes what JSON demands in printable ASCII.
func escapeRoot(root string) string {
	if !strings.ContainsAny(root, `"\`) {
		return root
	}
	return strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(root)
}

func unescapeRoot(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text)
}

var errWraps = errors.New("the wraps are not in the form that Rowseal writes")

// parseWraps reads what formatWraps writes. It cuts text at the fixed words
// between the parts, none of which occurs in base64 or, because quotes are
// escaped there, in a root key's name; then it demands that the parts, written
// again, are text, so that no other form passes.
func parseWraps(text string) ([]kms.Wrapped, error) {
	if text == "[]" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(text, "[")
	if !ok || len(text) > maxText {
		return nil, errWraps
	}
	var wraps []kms.Wrapped
	for more := true; more; {
		var w kms.Wrapped
		var err error
		if w, rest, err = cutWrap(rest); err != nil {
			return nil, fmt.Errorf("wrap %d: %w", len(wraps)+1, err)
		}
		if wraps = append(wraps, w); len(wraps) > maxWraps {
			return nil, errWraps
		}
		rest, more = strings.CutPrefix(rest, ",")
	}
	if joinWraps(wraps) != text {
		return nil, errWraps
	}
	return wraps, nil
}

// cutWrap reads the wrap at the start of text and returns what follows it.
func cutWrap(text string) (w kms.Wrapped, rest string, err error) {
	text, headed := strings.CutPrefix(text, wrapHead)
	root, text, middle := strings.Cut(text, wrapMid)
	blob, rest, tailed := strings.Cut(text, wrapTail)
	if !headed || !middle || !tailed {
		return w, "", errWraps
	}
	if w.Blob, err = base64.StdEncoding.DecodeString(blob); err != nil {
		return w, "", errWraps // the cause would say where, which helps nobody
	}
	w.RootKey = unescapeRoot(root)
	return w, rest, w.Validate()
}
