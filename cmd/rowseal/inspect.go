package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/envelope"
)

func newInspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect VALUE",
		Short: "Show what a sealed value's header says; needs no keys",
		Long: `Show what a sealed value's header says. No key is needed, and nothing is
opened: what the header says is a claim until the value opens.

VALUE is in hex (also as \x… or X'…'), in base64, or "-", which reads it from
the standard input, there also as plain bytes.`,
		Example: `  rowseal inspect '\xf5…'
  psql -Atc "SELECT ssn FROM users LIMIT 1" | rowseal inspect -`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused(c, `inspect takes one value, or "-" for the standard input`)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			b, err := readValue(c.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			v, err := envelope.Parse(b)
			if errors.Is(err, envelope.ErrNotSealed) {
				return fmt.Errorf("%w: it does not begin with byte %02x; is the column sealed, and was the value copied whole?", err, envelope.Magic)
			}
			if err != nil {
				return err
			}
			return printValue(c.OutOrStdout(), &v)
		},
	}
}

// maxInput bounds the standard input: the longest value as hex, with room for
// terms and white space.
const maxInput = 3 * envelope.MaxPlaintext

func readValue(in io.Reader, arg string) ([]byte, error) {
	if arg != "-" {
		return decodeValue(arg)
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the standard input: %w", err)
	case len(b) > maxInput:
		return nil, fmt.Errorf("the standard input is longer than any sealed value")
	case len(b) > 0 && b[0] == envelope.Magic: // never valid in a text
		return b, nil
	}
	return decodeValue(string(b))
}

var (
	isHex   = regexp.MustCompile(`^(?i:\\\\?x|0x)?([0-9a-fA-F]+)$`)
	isXHex  = regexp.MustCompile(`^[xX]'([0-9a-fA-F]*)'$`)
	errForm = errors.New(`the value is neither hex (f5…, \xf5…, X'f5…') nor base64; quote it so that the shell leaves the backslash alone`)
)

func decodeValue(s string) ([]byte, error) {
	s = strings.Trim(strings.Join(strings.Fields(s), ""), `"`)
	if s == "" {
		return nil, errors.New("the value is empty; NULL is not sealed")
	}
	for _, form := range []*regexp.Regexp{isHex, isXHex} {
		if m := form.FindStringSubmatch(s); m != nil {
			b, err := hex.DecodeString(m[1])
			if err != nil {
				return nil, errors.New("the value has an odd number of hex digits; was it copied whole?")
			}
			return b, nil
		}
	}
	for _, encoding := range []*base64.Encoding{
		base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding,
	} {
		if b, err := encoding.DecodeString(s); err == nil {
			return b, nil
		}
	}
	return nil, errForm
}

func printValue(out io.Writer, v *envelope.Value) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, name+"\t"+format+"\n", args...)
	}
	line("sealed value", "%d bytes", len(v.Bytes()))
	line("column id", "%x", v.Column[:])
	line("type", "%s (0x%02x)", codec.CodeName(v.Type), v.Type)
	line("suite", "%d, %v", byte(v.Suite), v.Suite)
	line("flags", "0x%02x%s", byte(v.Flags), flagWords(v.Flags))
	if e := v.Equality(); e != nil {
		line("equality term", "%x", e)
	}
	if e := v.Second(); e != nil {
		line("second equality term", "%x", e)
	}
	if set, terms := v.Terms(); v.Flags&envelope.FlagTerms != 0 {
		line("search terms", "%d of term set %d", len(terms)/8, set)
	}
	printKey(line, v)
	if salt := v.Salt(); salt != [envelope.SaltSize]byte{} {
		line("salt", "%x (first half of the nonce)", salt)
	}
	line("plaintext", "%d bytes%s", v.Len(), plaintextWords(v.Flags))
	return w.Flush()
}

func printKey(line func(string, string, ...any), v *envelope.Value) {
	switch v.Mode() {
	case envelope.ModeTenant:
		line("key", "field key, derived from a tenant key")
		line("tenant key id", "%v", v.KeyID())
	case envelope.ModeRow:
		line("key", "row key, wrapped by a tenant key")
		line("tenant key id", "%v", v.KeyID())
		line("wrapped row key", "%x", v.Wrapped())
	case envelope.ModeKMS:
		line("key", "row key, wrapped by a KMS")
		line("root key", "%q", v.RootKey())
		line("tenant", "%q", v.Tenant())
		line("wrapped row key", "%d bytes, %x…", len(v.Wrapped()), v.Wrapped()[:min(16, len(v.Wrapped()))])
	}
}

func flagWords(f envelope.Flags) string {
	words := []string{"key: " + f.Mode().String()}
	for _, w := range []struct {
		flag envelope.Flags
		word string
	}{
		{envelope.FlagEquality, "equality term"},
		{envelope.FlagSecond, "second equality term"},
		{envelope.FlagTerms, "search terms"},
		{envelope.FlagClaim, "row claim"},
		{envelope.FlagPadded, "padded"},
	} {
		if f&w.flag != 0 {
			words = append(words, w.word)
		}
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func plaintextWords(f envelope.Flags) string {
	var words []string
	if f&envelope.FlagClaim != 0 {
		words = append(words, "a row claim of 8")
	}
	if f&envelope.FlagPadded != 0 {
		words = append(words, "padding")
	}
	if words == nil {
		return ""
	}
	return ", including " + strings.Join(words, " and ")
}
