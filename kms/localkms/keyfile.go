package localkms

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rowseal/rowseal/internal/secretmem"
	"github.com/rowseal/rowseal/kms"
)

const (
	headLine  = "rowseal-root-key v1\n"
	adviceTxt = "# Secret: who reads this file can open all that was sealed under it. Mode 0600. Keep a copy apart from the database.\n"

	maxFile     = 1 << 20 // bytes
	maxVersions = 10_000
)

// keyFile is a key file's content: at least one version, ascending, the last
// of which is the current one. It is never changed, only replaced.
type keyFile struct {
	id       string // 16 hex digits
	versions []version
}

type version struct {
	number  uint32 // from 1
	created time.Time
	key     secret
}

func newKeyFile(now time.Time) *keyFile {
	var id [8]byte
	rand.Read(id[:]) // never fails
	f := &keyFile{id: hex.EncodeToString(id[:])}
	f.versions = []version{{number: 1, created: toSecond(now), key: newSecret()}}
	return f
}

func toSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (f *keyFile) current() uint32 { return f.versions[len(f.versions)-1].number }

func (f *keyFile) rootKey(number uint32) string {
	return provider + ":" + f.id + "/" + strconv.FormatUint(uint64(number), 10)
}

// parseRootKey returns the version that rootKey names, and false when rootKey
// is not one of this file's. There is one way to write each id.
func (f *keyFile) parseRootKey(rootKey string) (uint32, bool) {
	digits, ok := strings.CutPrefix(rootKey, provider+":"+f.id+"/")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || f.rootKey(uint32(n)) != rootKey || n == 0 {
		return 0, false
	}
	return uint32(n), true
}

func (f *keyFile) find(number uint32) (version, bool) {
	for i := len(f.versions) - 1; i >= 0; i-- {
		if f.versions[i].number == number {
			return f.versions[i], true
		}
	}
	return version{}, false
}

// withNewVersion returns f with a fresh current version. Numbers are never
// used again, because the highest one cannot be removed.
func (f *keyFile) withNewVersion(now time.Time) (*keyFile, error) {
	if len(f.versions) >= maxVersions || f.current() == 1<<32-1 {
		return nil, fmt.Errorf("the key file holds %d versions, the most there may be", len(f.versions))
	}
	next := version{number: f.current() + 1, created: toSecond(now), key: newSecret()}
	versions := append(append([]version(nil), f.versions...), next)
	return &keyFile{id: f.id, versions: versions}, nil
}

func (f *keyFile) without(number uint32) *keyFile {
	next := &keyFile{id: f.id}
	for _, v := range f.versions {
		if v.number != number {
			next.versions = append(next.versions, v)
		}
	}
	return next
}

// marshal returns the file's bytes, as [Create] describes them. The result
// holds keys: run it inside secretmem.Do.
func (f *keyFile) marshal() []byte {
	const line = len("version 4294967295 2006-01-02T15:04:05Z \n") + 44
	b := make([]byte, 0, len(headLine)+len(adviceTxt)+len(f.versions)*line+128)
	b = append(b, headLine+adviceTxt...)
	b = append(b, "id "+f.id+"\n"...)
	for _, v := range f.versions {
		b = append(b, "version "...)
		b = strconv.AppendUint(b, uint64(v.number), 10)
		b = append(b, ' ')
		b = v.created.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, ' ')
		b = base64.StdEncoding.AppendEncode(b, v.key.key[:])
		b = append(b, '\n')
	}
	sum := sha256.Sum256(b)
	b = append(b, "sum "...)
	b = hex.AppendEncode(b, sum[:])
	return append(b, '\n')
}

// parseKeyFile reads what marshal wrote and nothing else. Its errors say where
// the file is wrong and hold nothing of its content.
func parseKeyFile(b []byte) (f *keyFile, err error) {
	secretmem.Do(func() { f, err = parse(b) })
	return f, err
}

func parse(b []byte) (*keyFile, error) {
	if len(b) == 0 {
		return nil, errors.New("the file is empty")
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("the file is longer than %d bytes", maxFile)
	}
	rest, ok := bytes.CutPrefix(b, []byte(headLine))
	if !ok {
		if bytes.HasPrefix(b, []byte("rowseal-root-key v")) {
			return nil, errors.New("the file's format is not v1: it was written by a newer release")
		}
		return nil, errors.New("the file is not a Rowseal root key file")
	}
	if err := checkSum(rest, b); err != nil {
		return nil, err
	}
	if rest, ok = bytes.CutPrefix(rest[:len(rest)-sumLine], []byte(adviceTxt)); !ok {
		return nil, errors.New("line 2 is not what it must be")
	}
	f, err := parseBody(rest)
	if err != nil {
		return nil, err
	}
	// One way to write each file: whatever the lenient decoders below let
	// through (a line break inside base64, a leading zero) shows here.
	canonical := f.marshal()
	defer clear(canonical)
	if !bytes.Equal(canonical, b) {
		return nil, errors.New("the file is not in the form that this program writes")
	}
	return f, nil
}

const sumLine = len("sum \n") + 2*sha256.Size

// checkSum checks that rest, the end of the file b, ends in b's checksum.
func checkSum(rest, b []byte) error {
	if len(rest) < sumLine || !bytes.HasPrefix(rest[len(rest)-sumLine:], []byte("sum ")) {
		return errors.New("the last line is not a checksum: the file is cut off or was edited")
	}
	body := b[:len(b)-sumLine]
	sum := sha256.Sum256(body)
	if got := b[len(b)-sumLine+len("sum ") : len(b)-1]; string(got) != hex.EncodeToString(sum[:]) {
		return errors.New("the checksum is wrong: the file was damaged or edited")
	}
	return nil
}

// parseBody reads the lines from the id to the one before the checksum.
func parseBody(body []byte) (*keyFile, error) {
	f := new(keyFile)
	body, ok := bytes.CutSuffix(body, []byte("\n"))
	if !ok {
		return nil, errors.New("a line break is missing before the checksum")
	}
	lines := bytes.Split(body, []byte("\n"))
	id, ok := bytes.CutPrefix(lines[0], []byte("id "))
	if !ok || len(id) != 16 {
		return nil, errors.New("line 3 is not an id of 16 hex digits")
	}
	if _, err := hex.DecodeString(string(id)); err != nil {
		return nil, errors.New("line 3 is not an id of 16 hex digits")
	}
	f.id = string(id)
	if f.id != strings.ToLower(f.id) {
		return nil, errors.New("line 3 is not an id in lower case")
	}
	for i, line := range lines[1:] {
		v, ok := parseVersion(line)
		if !ok || len(f.versions) > 0 && v.number <= f.current() {
			return nil, fmt.Errorf("line %d is not the next version of the root key", i+4)
		}
		f.versions = append(f.versions, v)
	}
	if len(f.versions) == 0 || len(f.versions) > maxVersions {
		return nil, fmt.Errorf("the file holds %d versions of the root key, want 1 to %d",
			len(f.versions), maxVersions)
	}
	return f, nil
}

func parseVersion(line []byte) (v version, ok bool) {
	fields := bytes.Split(line, []byte(" "))
	if len(fields) != 4 || string(fields[0]) != "version" {
		return v, false
	}
	n, err := strconv.ParseUint(string(fields[1]), 10, 32)
	if err != nil || n == 0 {
		return v, false
	}
	v.number = uint32(n)
	if v.created, err = time.Parse(time.RFC3339, string(fields[2])); err != nil {
		return v, false
	}
	key := make([]byte, base64.StdEncoding.DecodedLen(len(fields[3])))
	if n, err := base64.StdEncoding.Strict().Decode(key, fields[3]); err != nil || n != kms.KeySize {
		return v, false
	}
	v.key.key = (*[kms.KeySize]byte)(key)
	return v, true
}
