package keyring

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/rowseal/rowseal/envelope"
)

// ErrExport: a file is no export, or not a whole one.
var ErrExport = errors.New("not a complete export of keys")

var (
	errExportHex  = errors.New("not the hex digits that belong there")
	errExportWrap = errors.New("a wrapped key is not base64")
	errExportEnd  = errors.New("its last line is missing: it was cut off")
	errExportSum  = errors.New("its SHA-256 is another than its last line says: it was damaged or edited")
)

// maxExportLine is more than the longest record needs: 64 wraps of the longest
// kind, and two notes.
const maxExportLine = 1 << 20

// readExport calls do for each record of an export. Its last line has been checked
// only when it returns without an error.
func readExport(r io.Reader, head func(exportHead) error, do func(Record) error) (end exportEnd, err error) {
	in := &exportReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	var h exportHead
	if err := in.next(&h); err != nil {
		return end, in.fail(err)
	}
	if h.Format != exportFormat {
		return end, in.fail(fmt.Errorf("its format is %d, and this version reads %d", h.Format, exportFormat))
	}
	if err := head(h); err != nil {
		return end, err
	}
	var keys int64
	for {
		sum := hex.EncodeToString(in.sum.Sum(nil))
		text, err := in.line()
		if err != nil {
			return end, in.fail(err)
		}
		if bytes.HasPrefix(text, []byte(`{"end"`)) {
			return in.end(text, keys, sum)
		}
		var x exportRecord
		if err := strictly(text, &x); err != nil {
			return end, in.fail(err)
		}
		record, err := x.record()
		if err != nil {
			return end, in.fail(err)
		}
		if err := do(record); err != nil {
			return end, err
		}
		keys++
	}
}

type exportReader struct {
	r   *bufio.Reader
	sum hash.Hash
	at  int // lines read
}

func (in *exportReader) fail(err error) error {
	return fmt.Errorf("keyring: %w: line %d: %w", ErrExport, in.at, err)
}

// end checks the last line.
func (in *exportReader) end(text []byte, keys int64, sum string) (end exportEnd, err error) {
	if err := strictly(text, &end); err != nil {
		return end, in.fail(err)
	}
	if !end.End || end.Digest != sum || end.Keys != keys {
		return end, in.fail(errExportSum)
	}
	if _, err := in.r.ReadByte(); !errors.Is(err, io.EOF) {
		return end, in.fail(errors.New("something follows its last line"))
	}
	return end, nil
}

func (in *exportReader) next(v any) error {
	text, err := in.line()
	if err != nil {
		return err
	}
	return strictly(text, v)
}

// line reads a line without what ends it.
func (in *exportReader) line() (text []byte, err error) {
	in.at++
	for {
		part, err := in.r.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			in.sum.Write(text)
			return text[:len(text)-1], nil
		case errors.Is(err, io.EOF):
			return nil, errExportEnd
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(text) > maxExportLine:
			return nil, fmt.Errorf("the line is longer than %d bytes", maxExportLine)
		}
	}
}

// strictly reads one JSON object with no other fields than v's. Its errors do not
// repeat the text, which may be no export but something secret.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil || d.InputOffset() != int64(len(text)) {
		return errors.New("it is not in the form that `keys export` writes")
	}
	return nil
}

func unhex(dst []byte, text string) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return errExportHex
	}
	if _, err := hex.Decode(dst, []byte(text)); err != nil || hex.EncodeToString(dst) != text {
		return errExportHex
	}
	if len(dst) == len(envelope.KeyID{}) && envelope.KeyID(dst) == (envelope.KeyID{}) {
		return errExportHex // zero is no key's id
	}
	return nil
}
