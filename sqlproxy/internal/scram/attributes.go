package scram

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
)

// ErrMalformed is given for messages that are not SCRAM.
var ErrMalformed = errors.New("scram: malformed message")

// attribute takes "name=value" off the front of a message.
func attribute(message string, name byte) (value, rest string, err error) {
	if len(message) < 2 || message[0] != name || message[1] != '=' {
		return "", "", ErrMalformed
	}
	value, rest, _ = strings.Cut(message[2:], ",")
	return value, rest, nil
}

// nonce is 18 random bytes, printed, as the server's are.
func nonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// printable reports whether a nonce has printable ASCII without commas.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

const bindingFlag = "p=tls-server-end-point"
