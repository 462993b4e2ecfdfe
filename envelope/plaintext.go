package envelope

// ClaimSize is the length of a row claim: what a value says of the row it
// belongs to, at the start of its plaintext.
const ClaimSize = 8

// AppendClaim appends a row claim to dst.
func AppendClaim(dst []byte, claim [ClaimSize]byte) []byte { return append(dst, claim[:]...) }

// SplitClaim cuts a row claim off an opened plaintext.
func SplitClaim(plaintext []byte) (claim [ClaimSize]byte, rest []byte, err error) {
	if len(plaintext) < ClaimSize {
		return claim, nil, malformed(0, "plaintext is shorter than its row claim")
	}
	return [ClaimSize]byte(plaintext), plaintext[ClaimSize:], nil
}

// Pad appends 0x80 and zeros to data (ISO/IEC 7816-4) until the length of
// data[from:] is a multiple of block, at least one byte. It hides lengths up
// to the block; block is 1 or more.
func Pad(data []byte, from, block int) []byte {
	data = append(data, 0x80)
	for (len(data)-from)%block != 0 {
		data = append(data, 0)
	}
	return data
}

// Unpad undoes Pad. It runs on authenticated bytes, so that its timing tells
// an attacker nothing that he could choose.
func Unpad(data []byte) ([]byte, error) {
	for i := len(data) - 1; i >= 0; i-- {
		switch data[i] {
		case 0:
		case 0x80:
			return data[:i], nil
		default:
			return nil, malformed(0, "padding is not 0x80 and zeros")
		}
	}
	return nil, malformed(0, "padding is missing")
}
