package localkms

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// sealed returns body with its checksum, so that what is refused is refused
// for its content.
func sealed(body string) []byte {
	sum := sha256.Sum256([]byte(body))
	return []byte(body + "sum " + hex.EncodeToString(sum[:]) + "\n")
}

const (
	goodHead = headLine + adviceTxt + "id 00112233445566aa\n"
	key1     = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	line1    = "version 1 2026-01-02T03:04:05Z " + key1 + "\n"
	line2    = "version 2 2026-01-03T03:04:05Z " + key1 + "\n"
)

func TestParseAcceptsOneWayToWriteAFile(t *testing.T) {
	for name, body := range map[string]string{
		"one version":             goodHead + line1,
		"two versions":            goodHead + line1 + line2,
		"the first one gone":      goodHead + line2,
		"the highest number":      goodHead + strings.Replace(line1, "version 1", "version 4294967295", 1),
		"versions with a gap":     goodHead + line1 + strings.Replace(line2, "version 2", "version 9", 1),
		"a clock that went back":  goodHead + line1 + strings.Replace(line2, "2026", "2025", 1),
		"another id in lowercase": strings.Replace(goodHead, "00112233445566aa", "ffffffffffffffff", 1) + line1,
	} {
		b := sealed(body)
		f, err := parseKeyFile(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(f.marshal(), b) {
			t.Errorf("%s: written again it differs", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	replace := func(old, with string) []byte {
		body := goodHead + line1 + line2
		if !strings.Contains(body, old) {
			t.Fatalf("the test's file does not contain %q", old)
		}
		return sealed(strings.Replace(body, old, with, 1))
	}
	good := sealed(goodHead + line1)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"another second line":          {replace("Mode 0600", "Mode 0644"), "line 2"},
		"no id":                        {replace("id 00112233445566aa\n", ""), "line 3"},
		"a short id":                   {replace("66aa", "66"), "line 3"},
		"an id that is not hex":        {replace("66aa", "66ag"), "line 3"},
		"an id in capitals":            {replace("66aa", "66AA"), "lower case"},
		"no version":                   {sealed(goodHead), "0 versions"},
		"version 0":                    {replace("version 1", "version 0"), "line 4"},
		"a version over 32 bits":       {replace("version 1", "version 4294967296"), "line 4"},
		"a version with a sign":        {replace("version 1", "version +1"), "line 4"},
		"a version with a zero before": {replace("version 1", "version 01"), "form"},
		"versions out of order":        {sealed(goodHead + line2 + line1), "line 5"},
		"a version twice":              {sealed(goodHead + line1 + line1), "line 5"},
		"a word too many":              {replace("Z AAAA", "Z x AAAA"), "line 4"},
		"two spaces":                   {replace("Z AAAA", "Z  AAAA"), "line 4"},
		"another word than version":    {replace("version 2", "Version 2"), "line 5"},
		"a time without a zone":        {replace("05Z", "05"), "line 4"},
		"a time in another zone":       {replace("05Z", "05+01:00"), "form"},
		"a time with a fraction":       {replace("05Z", "05.5Z"), "form"},
		"a key of 31 bytes":            {replace(key1, strings.Repeat("A", 42)+"=="), "line 4"},
		"a key of 33 bytes":            {replace(key1, strings.Repeat("A", 44)), "line 4"},
		"a key with spare bits set":    {replace(key1, strings.Repeat("A", 42)+"B="), "line 4"},
		"a key without padding":        {replace(key1, strings.Repeat("A", 43)), "line 4"},
		"a key with a line break":      {replace("AAAA", "AA\rAA"), "form"},
		"an empty line":                {replace("version 2", "\nversion 2"), "line 5"},
		"carriage returns":             {replace(line1, strings.TrimSuffix(line1, "\n")+"\r\n"), "form"},
		"text behind the checksum":     {append(bytes.Clone(good), '\n'), "not a checksum"},
		"a checksum in capitals":       {append(bytes.Clone(good[:len(good)-sumLine+4]), bytes.ToUpper(good[len(good)-sumLine+4:])...), "checksum is wrong"},
		"a wrong checksum":             {append(bytes.Clone(good[:len(good)-4]), "zzz\n"...), "checksum is wrong"},
		"no last line break":           {good[:len(good)-1], "not a checksum"},
		"a second line only":           {sealed(headLine + adviceTxt), "line break"},
		"no break before the checksum": {sealed(strings.TrimSuffix(goodHead+line1, "\n")), "line break"},
		"nothing but a checksum":       {sealed(headLine), "line 2"},
		"a first line only":            {[]byte(headLine), "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseKeyFile(c.b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error that says %q", err, c.want)
			}
			if strings.Contains(err.Error(), "AAAA") {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
}

func TestAnyChangedByteOrCutIsNoticed(t *testing.T) {
	good := sealed(goodHead + line1 + line2)
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x20
		if _, err := parseKeyFile(b); err == nil {
			t.Errorf("a change of byte %d went unnoticed", i)
		}
		if _, err := parseKeyFile(good[:i]); err == nil {
			t.Errorf("a cut at byte %d went unnoticed", i)
		}
	}
}

func TestOnlyTheOneFormOfARootKeyIDIsTaken(t *testing.T) {
	f := &keyFile{id: "00112233445566aa"}
	for rootKey, want := range map[string]uint32{
		"local:00112233445566aa/1":                      1,
		"local:00112233445566aa/4294967295":             4294967295,
		"local:00112233445566aa/4294967296":             0,
		"local:00112233445566aa/0":                      0,
		"local:00112233445566aa/01":                     0,
		"local:00112233445566aa/+1":                     0,
		"local:00112233445566aa/":                       0,
		"local:00112233445566aa/1/":                     0,
		"local:00112233445566AA/1":                      0,
		"local:00112233445566ab/1":                      0,
		"Local:00112233445566aa/1":                      0,
		"local:00112233445566aa/1844674407370955161700": 0,
	} {
		if got, ok := f.parseRootKey(rootKey); got != want || ok != (want != 0) {
			t.Errorf("%s: got %d, %v; want %d", rootKey, got, ok, want)
		}
	}
}

func TestAFileHoldsAtMostTenThousandVersions(t *testing.T) {
	f := newKeyFile(testTime)
	for len(f.versions) < maxVersions {
		next := version{number: f.current() + 1, created: testTime, key: f.versions[0].key}
		f.versions = append(f.versions, next)
	}
	if b := f.marshal(); len(b) > maxFile {
		t.Errorf("a full file is %d bytes long, more than may be read", len(b))
	} else if _, err := parseKeyFile(b); err != nil {
		t.Errorf("a full file does not parse: %v", err)
	}
	if _, err := f.withNewVersion(testTime); err == nil {
		t.Error("a full file took another version")
	}
}

func TestVersionNumbersDoNotWrapRound(t *testing.T) {
	f := newKeyFile(testTime)
	f.versions[0].number = 1<<32 - 1
	if _, err := f.withNewVersion(testTime); err == nil {
		t.Error("a version followed the highest number")
	}
}

func FuzzParseKeyFile(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(headLine))
	f.Add(sealed(goodHead + line1))
	f.Add(sealed(goodHead + line1 + line2))
	f.Add(sealed(goodHead))
	if b, err := os.ReadFile("testdata/v1.key"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, sealed(string(b)), sealed(goodHead + string(b))} {
			if file, err := parseKeyFile(in); err == nil && !bytes.Equal(file.marshal(), in) {
				t.Errorf("written again the file differs: %q", in)
			}
		}
	})
}
