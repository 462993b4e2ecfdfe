package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// ErrServer says that the server does not know the password, so that it is not the one it seems to be.
var ErrServer = errors.New("scram: the server's signature is wrong")

// ErrStale says that keys come of another verifier than the server's, though perhaps of the same password: salts
// are random, so that a password set again, even to what it was, makes another one.
var ErrStale = errors.New("scram: the server has another verifier than the one that the client was verified with")

// Client is the client's side of one login.
type Client struct {
	keys     *Keys
	password string
	binding  []byte

	header, nonce, first, authMessage string
}

// NewClient begins a login with keys. binding is EndPoint of the server's certificate, nil where the leg
// is not encrypted or cannot be bound; offered says that the server offered Plus. Where it did not, though the leg
// could be bound, it is told so, and refuses if somebody between took the offer away.
func NewClient(keys *Keys, binding []byte, offered bool) *Client {
	return begin(&Client{keys: keys}, binding, offered)
}

// NewPasswordClient begins a login with a password, which must be ASCII.
func NewPasswordClient(password string, binding []byte, offered bool) *Client {
	return begin(&Client{password: password}, binding, offered)
}

func begin(c *Client, binding []byte, offered bool) *Client {
	switch {
	case binding == nil:
		c.header = "n,,"
	case !offered:
		c.header = "y,,"
	default:
		c.header, c.binding = bindingFlag+",,", binding
	}
	return c
}

// Mechanism is the one that this exchange is of.
func (c *Client) Mechanism() string {
	if c.binding != nil {
		return Plus
	}
	return Mechanism
}

// First gives client-first-message. It names no user: PostgreSQL takes that of the start-up message.
func (c *Client) First() string {
	c.nonce = nonce()
	c.first = "n=,r=" + c.nonce
	return c.header + c.first
}

// Final takes server-first-message and gives client-final-message.
func (c *Client) Final(message string) (string, error) {
	combined, rest, err := attribute(message, 'r')
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(combined, c.nonce) || len(combined) == len(c.nonce) || !printable(combined) {
		return "", ErrMalformed
	}
	if err := c.derive(rest); err != nil {
		return "", err
	}
	bound := base64.StdEncoding.EncodeToString(append([]byte(c.header), c.binding...))
	final := "c=" + bound + ",r=" + combined
	c.authMessage = c.first + "," + message + "," + final
	stored := sha256.Sum256(c.keys.ClientKey[:])
	var proof [keySize]byte
	subtle.XORBytes(proof[:], c.keys.ClientKey[:], mac(stored[:], c.authMessage))
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof[:]), nil
}

// derive makes the keys of a password with the server's salt and iterations.
func (c *Client) derive(parameters string) error {
	text, rest, err := attribute(parameters, 's')
	if err != nil {
		return err
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(salt) == 0 {
		return ErrMalformed
	}
	text, _, err = attribute(rest, 'i')
	if err != nil {
		return err
	}
	iterations, err := strconv.Atoi(text)
	if err != nil || iterations < 1 || iterations > maxIterations {
		return ErrMalformed
	}
	if c.keys == nil {
		c.keys, err = derive(c.password, salt, iterations)
		return err
	}
	if c.keys.Iterations != iterations || !bytes.Equal(c.keys.Salt, salt) {
		return ErrStale
	}
	return nil
}

// Verify takes server-final-message and checks that the server knows the password too.
func (c *Client) Verify(message string) error {
	text, _, err := attribute(message, 'v')
	if err != nil || c.authMessage == "" {
		return ErrMalformed
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || !hmac.Equal(signature, mac(c.keys.ServerKey[:], c.authMessage)) {
		return ErrServer
	}
	return nil
}
