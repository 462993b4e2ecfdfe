package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// xaes derives AES-256-GCM keys from the first half of an XAES-256-GCM nonce
// (https://c2sp.org/XAES-256-GCM): the SP 800-108r1 counter KDF with
// AES-256-CMAC, whose one-block input makes it two AES calls a key.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the CMAC subkey K1 of SP 800-38B section 6.1
}

func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	var msb byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		msb, x.k1[i] = x.k1[i]>>7, x.k1[i]<<1|msb
	}
	x.k1[len(x.k1)-1] ^= byte(subtle.ConstantTimeSelect(int(msb), 0x87, 0))
	return x, nil
}

// derive returns the AES-256-GCM key that salt chooses.
func (x *xaes) derive(salt [SaltSize]byte) (key [keySize]byte) {
	copy(key[:], []byte{0, 1, 'X', 0})
	copy(key[4:], salt[:])
	copy(key[16:], []byte{0, 2, 'X', 0})
	copy(key[20:], salt[:])
	for _, half := range [][]byte{key[:16], key[16:]} {
		subtle.XORBytes(half, half, x.k1[:])
		x.block.Encrypt(half, half)
	}
	return key
}
