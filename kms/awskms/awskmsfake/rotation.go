package awskmsfake

import "time"

// maxOnDemand is how often the service rotates one key on demand.
const maxOnDemand = 25

// rotatable says why k's material cannot be rotated.
func (k *key) rotatable() error {
	if err := k.usable(); err != nil {
		return err
	}
	if k.isReplica {
		return newError("UnsupportedOperationException", k.arn+" is a replica key: rotate its primary key.")
	}
	return nil
}

type rotationIn struct {
	KeyId                string // the service's name
	RotationPeriodInDays *int
}

func (f *Fake) enableKeyRotation(c *Call, in rotationIn) (any, error) {
	days := 365
	if in.RotationPeriodInDays != nil {
		days = *in.RotationPeriodInDays
	}
	if days < 90 || days > 2560 {
		return nil, invalid("Value at 'rotationPeriodInDays' failed to satisfy constraint: Member must be between 90 and 2560")
	}
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.rotatable(); err != nil {
		return nil, err
	}
	if k.origin != "AWS_KMS" {
		return nil, newError("UnsupportedOperationException", k.arn+" has imported material: it rotates on demand only.")
	}
	k.rotationDays = days
	return nil, nil // the operation has no output
}

func (f *Fake) disableKeyRotation(c *Call, in keyIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.rotatable(); err != nil {
		return nil, err
	}
	k.rotationDays = 0
	return nil, nil // the operation has no output
}

func (f *Fake) getKeyRotationStatus(c *Call, in keyIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"KeyId": k.arn, "KeyRotationEnabled": k.rotationDays > 0}
	if current := k.materials.current(); k.rotationDays > 0 && current != nil {
		out["RotationPeriodInDays"] = k.rotationDays
		out["NextRotationDate"] = seconds(current.rotated.Add(time.Duration(k.rotationDays) * 24 * time.Hour))
	}
	return out, nil
}

// rotateKeyOnDemand rotates at once, where the service takes a while.
func (f *Fake) rotateKeyOnDemand(c *Call, in keyIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.rotatable(); err != nil {
		return nil, err
	}
	if k.onDemand >= maxOnDemand {
		return nil, newError("LimitExceededException", "the key has been rotated on demand 25 times")
	}
	if k.origin == "EXTERNAL" {
		next := k.materials.pending()
		if next == nil {
			return nil, newError("KMSInvalidStateException", k.arn+" has no imported material that is pending rotation.")
		}
		next.pending, next.rotation, next.rotated = false, "ON_DEMAND", time.Now()
	} else {
		k.materials.add(newMaterial(randomMaterial()), "ON_DEMAND")
	}
	k.onDemand++
	return map[string]any{"KeyId": k.arn}, nil
}

type listRotationsIn struct {
	pageIn
	KeyId              string // the service's name
	IncludeKeyMaterial string
}

// listKeyRotations lists completed rotations; with ALL_KEY_MATERIAL it lists
// the first material, and one that is pending, too.
func (f *Fake) listKeyRotations(c *Call, in listRotationsIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	var shown []*material
	for _, v := range k.materials.list {
		if v.rotation != "" || in.IncludeKeyMaterial == "ALL_KEY_MATERIAL" {
			shown = append(shown, v)
		}
	}
	return page(in.pageIn, "Rotations", shown, func(v *material) any { return k.rotationEntry(v) })
}

func (k *key) rotationEntry(v *material) map[string]any {
	state := "NON_CURRENT"
	switch {
	case v.pending:
		state = "PENDING_ROTATION"
	case v == k.materials.current():
		state = "CURRENT"
	}
	entry := map[string]any{"KeyId": k.arn, "KeyMaterialId": v.id, "KeyMaterialState": state}
	if v.rotation != "" {
		entry["RotationType"], entry["RotationDate"] = v.rotation, seconds(v.rotated)
	}
	if k.origin == "EXTERNAL" {
		entry["ImportState"] = "IMPORTED"
		if !v.present {
			entry["ImportState"] = "PENDING_IMPORT"
		}
	}
	return entry
}
