package envelope

import "fmt"

// Suite names the algorithms of a value. The ids are stored and never change
// their meaning.
type Suite byte

const (
	// SuiteRow seals with AES-256-GCM under a key of the row's own, with a
	// random 96-bit nonce; the row key is wrapped with XAES-256-GCM.
	//
	// Bound: a row key seals the columns of one row in one statement, far
	// below the 2^32 values of SP 800-38D section 8.3.
	SuiteRow Suite = 1
	// SuiteXAES seals with XAES-256-GCM (C2SP) under a field key, the first
	// 12 bytes of its nonce taken from a pool of [SaltCount].
	//
	// Bound: [MaxValues] per field key at a collision risk of 2^-32; see
	// docs/FORMAT.md.
	SuiteXAES Suite = 2
	// SuiteHKDF is SuiteXAES with HKDF-SHA256 (RFC 5869) in place of the
	// CMAC-based derivation. The bound is the same.
	SuiteHKDF Suite = 3
	// SuiteRowHKDF is SuiteRow with the row key wrapped as in SuiteHKDF.
	SuiteRowHKDF Suite = 4

	// suiteChunked is reserved for values sealed in chunks.
	suiteChunked Suite = 5
)

// String returns the suite's name as docs/FORMAT.md has it.
func (s Suite) String() string {
	switch s {
	case SuiteRow:
		return "AES-256-GCM, row key wrapped by XAES-256-GCM"
	case SuiteXAES:
		return "XAES-256-GCM"
	case SuiteHKDF:
		return "HKDF-SHA256 + AES-256-GCM"
	case SuiteRowHKDF:
		return "AES-256-GCM, row key wrapped by HKDF-SHA256 + AES-256-GCM"
	case suiteChunked:
		return "reserved (chunks)"
	}
	return fmt.Sprintf("unknown suite %d", byte(s))
}

// salted reports whether values of s carry a salt before the GCM nonce.
func (s Suite) salted() bool { return s == SuiteXAES || s == SuiteHKDF }

// nonceLen is the length of the nonce field of a value of s.
func (s Suite) nonceLen() int {
	if s.salted() {
		return SaltSize + gcmNonceSize
	}
	return gcmNonceSize
}

// wrapSuite is the salted suite that wraps the row keys of s.
func (s Suite) wrapSuite() Suite {
	if s == SuiteRowHKDF {
		return SuiteHKDF
	}
	return SuiteXAES
}

// Suites returns the suites that values of key mode m may have.
func (m Mode) Suites() (list []Suite) {
	for s := SuiteRow; s < suiteChunked; s++ {
		if s.fits(m) {
			list = append(list, s)
		}
	}
	return list
}

// fits reports whether values of s may have key mode m.
func (s Suite) fits(m Mode) bool {
	switch m {
	case ModeTenant:
		return s.salted()
	case ModeRow:
		return s == SuiteRow || s == SuiteRowHKDF
	case ModeKMS:
		return s == SuiteRow
	}
	return false
}

// Mode says which key seals a value. It is part of the flags byte.
type Mode byte

const (
	// ModeTenant: the value is sealed with a field key of the tenant.
	ModeTenant Mode = 0
	// ModeRow: with a row key, wrapped by the tenant key, in the value.
	ModeRow Mode = 1
	// ModeKMS: with a row key, wrapped by the KMS, in the value.
	ModeKMS Mode = 2
)

// String returns the mode as a policy writes it.
func (m Mode) String() string {
	switch m {
	case ModeTenant:
		return "tenant"
	case ModeRow:
		return "row"
	case ModeKMS:
		return "row, wrap: kms"
	}
	return fmt.Sprintf("unknown mode %d", byte(m))
}
