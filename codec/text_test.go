package codec

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidTextSeesEveryPosition(t *testing.T) {
	for n := range 40 {
		plain := strings.Repeat("\x01a\x7f", 14)[:n]
		if !validText(plain) {
			t.Fatalf("%q is refused", plain)
		}
		for i := range n {
			for _, bad := range []string{"\x00", "\xff", "\x80", "é", "\xc3", "日"} {
				s := plain[:i] + bad + plain[i:]
				if want := utf8.ValidString(s) && !strings.Contains(s, "\x00"); validText(s) != want {
					t.Fatalf("%q: %v, want %v", s, !want, want)
				}
			}
		}
	}
}
