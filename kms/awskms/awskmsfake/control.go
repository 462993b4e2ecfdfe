package awskmsfake

// The methods of this file do what an administrator does, without a client.
// They panic when the fake refuses, as for a key that does not exist: that is
// a mistake in the test that calls them.

func (f *Fake) control(run func() error) {
	f.cloud.mu.Lock()
	defer f.cloud.mu.Unlock()
	if err := run(); err != nil {
		panic("awskmsfake: " + err.Error())
	}
}

// CreateKey makes a symmetric key and returns its ARN.
func (f *Fake) CreateKey() (keyARN string) { return f.create(createKeyIn{}) }

// CreateMultiRegionKey makes a multi-Region primary key and returns its ARN.
func (f *Fake) CreateMultiRegionKey() (keyARN string) {
	return f.create(createKeyIn{MultiRegion: true})
}

func (f *Fake) create(in createKeyIn) (keyARN string) {
	f.control(func() error {
		var c Call
		_, err := f.createKey(&c, in)
		keyARN = c.KeyARN
		return err
	})
	return keyARN
}

// Replicate makes a replica of a multi-Region key in another region and
// returns the replica's ARN.
func (f *Fake) Replicate(keyID, region string) (keyARN string) {
	f.control(func() error {
		k, err := f.resolve(keyID)
		if err != nil {
			return err
		}
		if _, err = f.replicateKey(new(Call), replicateIn{KeyId: k.id, ReplicaRegion: region}); err == nil {
			keyARN = f.cloud.regions[region].keys[k.id].arn
		}
		return err
	})
	return keyARN
}

// SetAlias points an alias, "alias/…", to a key, and creates it when it is new.
func (f *Fake) SetAlias(name, keyID string) {
	f.control(func() error {
		in := aliasIn{AliasName: name, TargetKeyId: keyID}
		if _, ok := f.aliases[name]; ok {
			_, err := f.updateAlias(new(Call), in)
			return err
		}
		_, err := f.createAlias(new(Call), in)
		return err
	})
}

// Disable disables a key, given by id, ARN or alias.
func (f *Fake) Disable(keyID string) {
	f.onKey(keyID, func(k *key) error {
		_, err := f.disableKey(new(Call), keyIn{k.id})
		return err
	})
}

// Enable enables a key again.
func (f *Fake) Enable(keyID string) {
	f.onKey(keyID, func(k *key) error {
		_, err := f.enableKey(new(Call), keyIn{k.id})
		return err
	})
}

// Rotate gives a key new material, as its yearly rotation does.
func (f *Fake) Rotate(keyID string) {
	f.onKey(keyID, func(k *key) error {
		if err := k.rotatable(); err != nil {
			return err
		}
		k.materials.add(newMaterial(randomMaterial()), "AUTOMATIC")
		return nil
	})
}

// ScheduleDeletion makes a key pending deletion.
func (f *Fake) ScheduleDeletion(keyID string) {
	f.onKey(keyID, func(k *key) error {
		_, err := f.scheduleKeyDeletion(new(Call), deletionIn{KeyId: k.id})
		return err
	})
}

// Delete deletes a key and its aliases at once, as the end of its waiting
// period does.
func (f *Fake) Delete(keyID string) {
	f.onKey(keyID, func(k *key) error {
		delete(f.keys, k.id)
		for name, a := range f.aliases {
			if a.keyID == k.id {
				delete(f.aliases, name)
			}
		}
		return nil
	})
}

func (f *Fake) onKey(keyID string, change func(k *key) error) {
	f.control(func() error {
		k, err := f.resolve(keyID)
		if err != nil {
			return err
		}
		return change(k)
	})
}
