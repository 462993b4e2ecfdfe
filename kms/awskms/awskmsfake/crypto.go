package awskmsfake

import "crypto/rand"

const (
	maxPlaintext  = 4096
	maxCiphertext = 6144
	algorithm     = "SYMMETRIC_DEFAULT"
)

type encryptIn struct {
	KeyId             string // the service's name
	Plaintext         []byte
	EncryptionContext map[string]string
}

func (f *Fake) encrypt(c *Call, in encryptIn) (any, error) {
	c.EncryptionContext = in.EncryptionContext
	if n := len(in.Plaintext); n < 1 || n > maxPlaintext {
		return nil, invalid("Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	k, err := f.forUse(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"CiphertextBlob": sealBlob(k, in.Plaintext, in.EncryptionContext),
		"KeyId":          k.arn, "EncryptionAlgorithm": algorithm,
	}, nil
}

// forUse finds a key by id, ARN or alias and checks that it can be used.
func (f *Fake) forUse(c *Call, keyID string) (*key, error) {
	k, err := f.resolve(keyID)
	if err != nil {
		return nil, err
	}
	c.KeyARN = k.arn
	return k, k.usable()
}

type decryptIn struct {
	KeyId             string // the service's name
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

func (f *Fake) decrypt(c *Call, in decryptIn) (any, error) {
	c.EncryptionContext = in.EncryptionContext
	k, plaintext, v, err := f.open(&c.KeyARN, in.KeyId, in.CiphertextBlob, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"Plaintext": plaintext, "KeyId": k.arn, "KeyMaterialId": v.id, "EncryptionAlgorithm": algorithm,
	}, nil
}

// open decrypts blob with the key that made it, which must be the one that
// keyID names unless that is empty. It notes the key's ARN in used.
func (f *Fake) open(used *string, keyID string, blob []byte, context map[string]string) (*key, []byte, *material, error) {
	if n := len(blob); n < 1 || n > maxCiphertext {
		return nil, nil, nil, invalid("Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length between 1 and 6144")
	}
	madeBy, _, _, parsed := parseBlob(blob)
	k, ok := f.keys[madeBy]
	if keyID != "" {
		named, err := f.resolve(keyID)
		if err != nil {
			return nil, nil, nil, err
		}
		*used = named.arn
		if parsed && ok && named != k {
			return nil, nil, nil, newError("IncorrectKeyException",
				"The key ID in the request does not identify a CMK that can perform this operation.")
		}
		k = named
	} else if !parsed || !ok {
		return nil, nil, nil, errCiphertext()
	}
	*used = k.arn
	if err := k.usable(); err != nil {
		return nil, nil, nil, err
	}
	plaintext, v, err := openBlob(k, blob, context)
	return k, plaintext, v, err
}

type reEncryptIn struct {
	CiphertextBlob                                        []byte
	SourceKeyId, DestinationKeyId                         string // the service's name
	SourceEncryptionContext, DestinationEncryptionContext map[string]string
}

func (f *Fake) reEncrypt(c *Call, in reEncryptIn) (any, error) {
	c.SourceContext, c.EncryptionContext = in.SourceEncryptionContext, in.DestinationEncryptionContext
	from, plaintext, v, err := f.open(&c.SourceKeyARN, in.SourceKeyId, in.CiphertextBlob, in.SourceEncryptionContext)
	if err != nil {
		return nil, err
	}
	to, err := f.forUse(c, in.DestinationKeyId)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"CiphertextBlob": sealBlob(to, plaintext, in.DestinationEncryptionContext),
		"SourceKeyId":    from.arn, "SourceKeyMaterialId": v.id, "SourceEncryptionAlgorithm": algorithm,
		"KeyId": to.arn, "DestinationKeyMaterialId": to.materials.current().id, "DestinationEncryptionAlgorithm": algorithm,
	}, nil
}

type generateIn struct {
	KeyId             string // the service's name
	KeySpec           string
	NumberOfBytes     *int
	EncryptionContext map[string]string
}

func (in generateIn) size() (int, error) {
	switch {
	case in.KeySpec != "" && in.NumberOfBytes != nil, in.KeySpec == "" && in.NumberOfBytes == nil:
		return 0, newError("ValidationException", "Please specify either number of bytes or key spec.")
	case in.KeySpec == "AES_256":
		return 32, nil
	case in.KeySpec == "AES_128":
		return 16, nil
	case in.KeySpec != "":
		return 0, invalid("Value at 'keySpec' failed to satisfy constraint: Member must be AES_256 or AES_128")
	case *in.NumberOfBytes < 1 || *in.NumberOfBytes > 1024:
		return 0, invalid("Value at 'numberOfBytes' failed to satisfy constraint: Member must be between 1 and 1024")
	}
	return *in.NumberOfBytes, nil
}

func (f *Fake) generateDataKey(c *Call, in generateIn) (any, error) {
	c.EncryptionContext = in.EncryptionContext
	size, err := in.size()
	if err != nil {
		return nil, err
	}
	k, err := f.forUse(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	plaintext := make([]byte, size)
	rand.Read(plaintext) // never fails
	return map[string]any{
		"Plaintext": plaintext, "CiphertextBlob": sealBlob(k, plaintext, in.EncryptionContext),
		"KeyId": k.arn, "KeyMaterialId": k.materials.current().id,
	}, nil
}

func (f *Fake) generateDataKeyWithoutPlaintext(c *Call, in generateIn) (any, error) {
	out, err := f.generateDataKey(c, in)
	if fields, ok := out.(map[string]any); ok {
		delete(fields, "Plaintext")
	}
	return out, err
}
