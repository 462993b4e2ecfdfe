package codec

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
)

// appendText writes the shortest digits that give the same float back, with an exponent where the server uses one. Of
// texts that are equally short it is the nearest; of two that are equally near, the one with an even last digit. (The
// server has Ryu, by Ulf Adams: Ryū: fast float-to-string conversion, PLDI 2018. Its tables are not needed here.)
func (floatForm) appendText(t Type, dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, "NaN"...)
	case math.IsInf(x, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(x, -1):
		return append(dst, "-Infinity"...)
	}
	bits, digits := floatBits(t), 15
	if bits == 32 {
		digits = 6
	}
	start := len(dst)
	dst = appendShortest(dst, x, bits)
	e := start + bytes.LastIndexByte(dst[start:], 'e')
	exponent, _ := strconv.Atoi(string(dst[e+1:]))
	if x == 0 || (exponent >= -4 && exponent < digits) {
		return strconv.AppendFloat(dst[:start], x, 'f', max(behindPoint(dst[start:])-exponent, 0), bits)
	}
	return dst
}

// behindPoint counts the digits between the point and the exponent.
func behindPoint(text []byte) int {
	point := bytes.IndexByte(text, '.')
	if point < 0 {
		return 0
	}
	return bytes.LastIndexByte(text, 'e') - point - 1
}

// appendShortest writes d.ddde±dd.
func appendShortest(dst []byte, x float64, bits int) []byte {
	start, beyond := len(dst), math.Abs(x) >= 1<<54
	if bits == 32 {
		beyond = math.Abs(x) >= 1<<25
	}
	dst = strconv.AppendFloat(dst, x, 'e', -1, bits)
	if beyond {
		return appendInside(dst, start, x, bits)
	}
	// Go takes the upper of two that are equally near. Rounded to as many digits, the even one comes out.
	var room [32]byte
	even := strconv.AppendFloat(room[:0], x, 'e', behindPoint(dst[start:]), bits)
	if y, err := strconv.ParseFloat(string(even), bits); err == nil && y == x {
		return append(dst[:start], even...)
	}
	return dst
}

// appendInside writes more digits while those behind start lie in the middle between x and a neighbour. Go takes
// them, as they are read as x because its last bit is even; the server does not. Only a large x has such a middle
// with few digits: below 2^25 (2^54 for 64 bits) it is no multiple of ten, and x itself has fewer.
func appendInside(dst []byte, start int, x float64, bits int) []byte {
	for isMiddle(string(dst[start:]), x, bits) {
		dst = strconv.AppendFloat(dst[:start], x, 'e', behindPoint(dst[start:])+1, bits)
	}
	return dst
}

func isMiddle(text string, x float64, bits int) bool {
	below, above := math.Nextafter(x, math.Inf(-1)), math.Nextafter(x, math.Inf(1))
	odd := math.Float64bits(x)&1 == 1
	if bits == 32 {
		below = float64(math.Nextafter32(float32(x), float32(math.Inf(-1))))
		above = float64(math.Nextafter32(float32(x), float32(math.Inf(1))))
		odd = math.Float32bits(float32(x))&1 == 1
	}
	if odd {
		return false // what lies in the middle is read as its neighbour
	}
	const room = 1200 // bits: more than a float64's integer part and one behind it
	shown, _, err := big.ParseFloat(text, 10, room, big.ToNearestEven)
	if err != nil {
		return false
	}
	shown.Add(shown, shown)
	for _, neighbour := range [...]float64{below, above} {
		if math.IsInf(neighbour, 0) {
			continue
		}
		middle := new(big.Float).SetPrec(room).SetFloat64(x)
		if middle.Add(middle, new(big.Float).SetFloat64(neighbour)).Cmp(shown) == 0 {
			return true
		}
	}
	return false
}
