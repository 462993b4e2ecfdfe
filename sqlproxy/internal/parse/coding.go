package parse

import (
	"strings"
	"unicode/utf8"
)

// Coding says what a text's bytes beyond ASCII may stand for.
type Coding byte

const (
	// UTF8: the text is in UTF-8.
	UTF8 Coding = iota
	// HighBytes: it is in another encoding, in which each byte of a character beyond ASCII is beyond
	// ASCII too, as in all that a server may have. What stands for syntax is known, names beyond ASCII are not.
	HighBytes
	// AnyBytes: it may be in an encoding in which a character's second byte may be a backslash or a
	// letter, so that the end of a string is not known, nor the word that it is in.
	AnyBytes
)

// CodingOf gives the coding of texts by what PostgreSQL calls the client's encoding and the server's. Both
// names are those that the server reports; one that is not known is taken for [AnyBytes].
func CodingOf(client, server string) Coding {
	client, server = strings.ToUpper(client), strings.ToUpper(server)
	switch client {
	case "UTF8", "UNICODE":
		return UTF8
	case "SQL_ASCII": // nothing is converted
		if server == "UTF8" || server == "SQL_ASCII" {
			return UTF8
		}
		return HighBytes
	case "MULE_INTERNAL":
		return HighBytes
	}
	for _, family := range []string{"LATIN", "ISO_8859_", "WIN", "KOI8", "EUC_"} {
		if strings.HasPrefix(client, family) {
			return HighBytes
		}
	}
	return AnyBytes
}

// ASCII reports whether a text means the same in every encoding.
func ASCII(text string) bool { return beyond(text) < 0 }

// beyond gives the place of the first byte that is not ASCII; -1 where there is none.
func beyond[T string | []byte](text T) int {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return i
		}
	}
	return -1
}
