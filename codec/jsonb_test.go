package codec

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestNormalisedDocumentsAreBounded(t *testing.T) {
	const limit = 1000
	members := make([]string, 120)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%03d":1`, i) // in the result each takes two spaces more
	}
	for name, c := range map[string]struct {
		doc  string
		fits bool
	}{
		"a document of exactly the limit":             {`"` + strings.Repeat("x", limit-2) + `"`, true},
		"a document over the limit":                   {`"` + strings.Repeat("x", limit-1) + `"`, false},
		"a number that grows to the limit":            {"1e999", true},
		"a number that grows over the limit":          {"1e1000", false},
		"numbers that grow over the limit together":   {"[1e400,1e400,1e400]", false},
		"an array that its spaces take over":          {"[" + strings.Repeat("1,", 400) + "1]", false},
		"an object that its spaces take over":         {"{" + strings.Join(members, ",") + "}", false},
		"an object that stays under with its spaces":  {"{" + strings.Join(members[:85], ",") + "}", true},
		"equal keys, of which only one stays":         {"{" + strings.Repeat(`"key":1,`, 110) + `"key":1}`, true},
		"an object under the limit with a wide value": {`{"a":{"b":"` + strings.Repeat("x", limit-20) + `"}}`, true},
		"a document whose spaces are over the limit":  {"[" + strings.Repeat(" ", limit) + "]", false},
	} {
		out, f := normaliseWithin(limit, []byte("kept"), []byte(c.doc))
		if c.fits && (f != nil || len(out) > limit+len("kept")) {
			t.Errorf("%s: %v, %d bytes", name, f, len(out))
		}
		if !c.fits && (f == nil || f.state != stateLimit || string(out) != "kept") {
			t.Errorf("%s: %v, %d bytes; want SQLSTATE 54000", name, f, len(out))
		}
	}
}

func TestGrowthStopsAtTheLimit(t *testing.T) {
	doc := []byte("[" + strings.Repeat("1e131071,", 1000) + "1]") // 131 MB when normalised
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, f := normaliseWithin(len(doc), nil, doc)
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; f == nil || f.state != stateLimit || spent > 16<<20 {
		t.Errorf("%v after %d bytes", f, spent)
	}
}

func TestDeepDocumentsArePutInOrderOnEveryLevel(t *testing.T) {
	const depth = maxJSONDepth
	doc := strings.Repeat(`{"b":`, depth) + `"x"` + strings.Repeat(`,"a":1}`, depth)
	want := strings.Repeat(`{"a": 1, "b": `, depth) + `"x"` + strings.Repeat(`}`, depth)
	out, f := normaliseJSON(nil, []byte(doc))
	if f != nil || string(out) != want {
		t.Errorf("%v, %d bytes, want %d", f, len(out), len(want))
	}
}
