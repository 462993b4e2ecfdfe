package awskmsfake

type importIn struct {
	KeyId                string // the service's name
	EncryptedKeyMaterial []byte
	ImportToken          []byte
	ImportType           string
}

// importKeyMaterial takes 32 bytes as they are. NEW_KEY_MATERIAL becomes
// current at once when it is the key's first, and at the next rotation on
// demand otherwise. EXISTING_KEY_MATERIAL brings back what was deleted.
func (f *Fake) importKeyMaterial(c *Call, in importIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.external(); err != nil {
		return nil, err
	}
	if len(in.ImportToken) == 0 {
		return nil, newError("InvalidImportTokenException", "the import token is empty")
	}
	if len(in.EncryptedKeyMaterial) != 32 {
		return nil, newError("IncorrectKeyMaterialException", "the fake takes 32 bytes of key material as they are")
	}
	v := newMaterial([32]byte(in.EncryptedKeyMaterial))
	known := k.materials.find(v.id)
	isNew := in.ImportType == "NEW_KEY_MATERIAL" || in.ImportType == "" && len(k.materials.list) == 0
	switch {
	case isNew && known != nil:
		return nil, newError("IncorrectKeyMaterialException", "the key has this material already")
	case isNew && k.materials.pending() != nil:
		return nil, newError("KMSInvalidStateException", k.arn+" has material that is pending rotation.")
	case isNew:
		v.pending = len(k.materials.list) > 0
		k.materials.add(v, "")
	case known == nil:
		return nil, newError("IncorrectKeyMaterialException", "the material is none that the key has had")
	default:
		known.present = true
	}
	if k.state == statePendingImport && k.materials.complete() {
		k.state = stateEnabled
	}
	return map[string]any{"KeyId": k.arn, "KeyMaterialId": v.id}, nil
}

type deleteMaterialIn struct{ KeyId, KeyMaterialId string } // the service's name

// deleteImportedKeyMaterial deletes the current material unless another one is
// named. Until it is imported again the key is PendingImport.
func (f *Fake) deleteImportedKeyMaterial(c *Call, in deleteMaterialIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.origin != "EXTERNAL" {
		return nil, newError("UnsupportedOperationException", k.arn+" origin is AWS_KMS, which is not valid for this operation.")
	}
	v := k.materials.current()
	if in.KeyMaterialId != "" {
		v = k.materials.find(in.KeyMaterialId)
	}
	if v == nil {
		return nil, notFound("the key has no such material")
	}
	v.present = false
	if k.state != statePendingDeletion {
		k.state = statePendingImport
	}
	return map[string]any{"KeyId": k.arn, "KeyMaterialId": v.id}, nil
}

func (k *key) external() error {
	if k.origin != "EXTERNAL" {
		return newError("UnsupportedOperationException", k.arn+" origin is AWS_KMS, which is not valid for this operation.")
	}
	return k.changeable()
}
