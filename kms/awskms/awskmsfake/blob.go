package awskmsfake

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// A ciphertext of the fake says, as one of the service does, which key and
// which of its materials made it:
//
//	0x01 · length of key id, 1 byte · key id · material id 32 · nonce 12 · ciphertext · tag 16
//
// All before the nonce and the encryption context are associated data.
const blobVersion = 1

func sealBlob(k *key, plaintext []byte, context map[string]string) []byte {
	v := k.materials.current()
	id, err := hex.DecodeString(v.id)
	if err != nil {
		panic("awskmsfake: a material id is not hex: " + err.Error())
	}
	blob := append([]byte{blobVersion, byte(len(k.id))}, k.id...)
	blob = append(blob, id...)
	return newAEAD(v).Seal(blob, nil, plaintext, associatedData(blob, context))
}

// parseBlob returns the key id and material id in a ciphertext, and where its
// header ends.
func parseBlob(blob []byte) (keyID, materialID string, header int, ok bool) {
	if len(blob) < 2 || blob[0] != blobVersion {
		return "", "", 0, false
	}
	n := int(blob[1])
	header = 2 + n + 32
	if len(blob) < header+12+16 {
		return "", "", 0, false
	}
	return string(blob[2 : 2+n]), hex.EncodeToString(blob[2+n : header]), header, true
}

func openBlob(k *key, blob []byte, context map[string]string) ([]byte, *material, error) {
	_, materialID, header, ok := parseBlob(blob)
	if !ok {
		return nil, nil, errCiphertext()
	}
	v := k.materials.find(materialID)
	if v == nil {
		return nil, nil, errCiphertext()
	}
	if !v.present {
		return nil, nil, newError("KMSInvalidStateException", k.arn+" is pending import.")
	}
	plaintext, err := newAEAD(v).Open(nil, nil, blob[header:], associatedData(blob[:header], context))
	if err != nil {
		return nil, nil, errCiphertext()
	}
	return plaintext, v, nil
}

func newAEAD(v *material) cipher.AEAD {
	block, err := aes.NewCipher(v.bytes[:])
	if err != nil {
		panic("awskmsfake: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("awskmsfake: " + err.Error())
	}
	return aead
}

// associatedData is one byte string per header and context: the pairs sorted by
// name, each string behind its length.
func associatedData(header []byte, context map[string]string) []byte {
	ad := slices.Clone(header)
	for _, name := range slices.Sorted(maps.Keys(context)) {
		for _, s := range []string{name, context[name]} {
			ad = binary.BigEndian.AppendUint32(ad, uint32(len(s)))
			ad = append(ad, s...)
		}
	}
	return ad
}
