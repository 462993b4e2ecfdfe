package sealing

import (
	"encoding/binary"
	"encoding/hex"
)

// ones times a byte is eight of that byte.
const ones = 0x0101010101010101

// decodeHex decodes digits, as the server writes bytea, into dst, which has half
// their length, and returns how many bytes it wrote. It reads eight digits at once:
// results in text form are mostly digits, and encoding/hex looks up each.
func decodeHex(dst, digits []byte) (int, error) {
	n := min(len(digits)/16, len(dst)/8)
	wrong := uint64(0)
	for i := range n {
		from, to := digits[16*i:16*i+16:16*i+16], dst[8*i:8*i+8:8*i+8]
		high, bad := eightDigits(binary.BigEndian.Uint64(from))
		low, worse := eightDigits(binary.BigEndian.Uint64(from[8:]))
		wrong |= bad | worse
		binary.BigEndian.PutUint64(to, high<<32|low)
	}
	if wrong != 0 { // capital letters, or an error
		return hex.Decode(dst, digits)
	}
	rest, err := hex.Decode(dst[8*n:], digits[16*n:])
	return 8*n + rest, err
}

// eightDigits gives the four bytes that eight digits stand for. wrong is not 0 where
// they are other than 0 to 9 and a to f.
func eightDigits(x uint64) (value, wrong uint64) {
	// '0' is 0x30 and 'a' 0x61: bit 6 tells letters, which begin with 1 and stand for 10.
	nibbles := x&(0x0f*ones) + 9*(x>>6&ones)
	// The nibbles are below 16 and written as digits anew are x, or x was none.
	letters := (nibbles + 6*ones) >> 4 & ones
	wrong = nibbles + '0'*ones + ('a'-'0'-10)*letters ^ x | nibbles&(0xf0*ones)
	pairs := (nibbles | nibbles>>4) & 0x00ff00ff00ff00ff
	pairs = (pairs | pairs>>8) & 0x0000ffff0000ffff
	return (pairs | pairs>>16) & 0xffffffff, wrong
}
