package awskmsfake

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Key states, as the service writes them.
const (
	stateEnabled         = "Enabled"
	stateDisabled        = "Disabled"
	statePendingDeletion = "PendingDeletion"
	statePendingImport   = "PendingImport"
)

type key struct {
	id, arn, description   string
	spec, usage, origin    string
	state                  string
	created, deletion      time.Time
	multiRegion, isReplica bool
	rotationDays           int // 0: automatic rotation is off
	onDemand               int // rotations on demand so far
	materials              *materials
}

// usable says why k cannot be used for cryptography now.
func (k *key) usable() error {
	switch k.state {
	case stateEnabled:
	case stateDisabled:
		return newError("DisabledException", k.arn+" is disabled.")
	case statePendingDeletion:
		return newError("KMSInvalidStateException", k.arn+" is pending deletion.")
	default:
		return newError("KMSInvalidStateException", k.arn+" is pending import.")
	}
	if k.usage != "ENCRYPT_DECRYPT" || k.spec != "SYMMETRIC_DEFAULT" {
		return newError("InvalidKeyUsageException", k.arn+" key usage is "+k.usage+" and its spec "+k.spec+
			", which is not valid for this operation.")
	}
	return nil
}

// changeable says why k's configuration cannot be changed now.
func (k *key) changeable() error {
	if k.state == statePendingDeletion {
		return newError("KMSInvalidStateException", k.arn+" is pending deletion.")
	}
	return nil
}

func (f *Fake) arn(resource string) string {
	return "arn:aws:kms:" + f.region + ":" + Account + ":" + resource
}

// resolve finds the key that a KeyId names: a key id, a key ARN, an alias name
// or an alias ARN.
func (f *Fake) resolve(keyID string) (*key, error) {
	if keyID == "" || len(keyID) > 2048 {
		return nil, invalid("Value at 'keyId' failed to satisfy constraint: Member must have length between 1 and 2048")
	}
	name := keyID
	if strings.HasPrefix(keyID, "arn:") {
		var local bool
		if name, local = strings.CutPrefix(keyID, f.arn("")); !local {
			return nil, notFound("Invalid arn " + f.region)
		}
		if !strings.HasPrefix(name, "alias/") {
			name = strings.TrimPrefix(name, "key/")
		}
	}
	if strings.HasPrefix(name, "alias/") {
		a, ok := f.aliases[name]
		if !ok {
			return nil, notFound("Alias " + f.arn(name) + " is not found.")
		}
		return f.keys[a.keyID], nil
	}
	if k, ok := f.keys[name]; ok {
		return k, nil
	}
	return nil, notFound("Key '" + f.arn("key/"+name) + "' does not exist")
}

// resolveKey is resolve for operations that take no alias.
func (f *Fake) resolveKey(c *Call, keyID string) (*key, error) {
	if strings.Contains(keyID, "alias/") {
		return nil, invalid("Value at 'keyId' failed to satisfy constraint: an alias is not allowed here")
	}
	k, err := f.resolve(keyID)
	if err == nil {
		c.KeyARN = k.arn
	}
	return k, err
}

func newKeyID(multiRegion bool) string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	if multiRegion {
		return "mrk-" + id
	}
	return fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:])
}

type createKeyIn struct {
	Description, KeySpec, KeyUsage, Origin string
	CustomerMasterKeySpec                  string
	MultiRegion                            bool
}

func (f *Fake) createKey(c *Call, in createKeyIn) (any, error) {
	k := &key{
		id:          newKeyID(in.MultiRegion),
		description: in.Description,
		spec:        orDefault(in.KeySpec, orDefault(in.CustomerMasterKeySpec, "SYMMETRIC_DEFAULT")),
		usage:       orDefault(in.KeyUsage, "ENCRYPT_DECRYPT"),
		origin:      orDefault(in.Origin, "AWS_KMS"),
		state:       stateEnabled,
		created:     time.Now(),
		multiRegion: in.MultiRegion,
		materials:   new(materials),
	}
	switch k.origin {
	case "AWS_KMS":
		k.materials.add(newMaterial(randomMaterial()), "")
	case "EXTERNAL":
		k.state = statePendingImport
	default:
		return nil, newError("UnsupportedOperationException", "the fake has no custom key stores")
	}
	k.arn = f.arn("key/" + k.id)
	f.keys[k.id] = k
	c.KeyARN = k.arn
	return map[string]any{"KeyMetadata": k.metadata()}, nil
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// metadata is the service's KeyMetadata.
func (k *key) metadata() map[string]any {
	m := map[string]any{
		"AWSAccountId":          Account,
		"Arn":                   k.arn,
		"CreationDate":          seconds(k.created),
		"CustomerMasterKeySpec": k.spec,
		"Description":           k.description,
		"Enabled":               k.state == stateEnabled,
		"EncryptionAlgorithms":  []string{"SYMMETRIC_DEFAULT"},
		"KeyId":                 k.id,
		"KeyManager":            "CUSTOMER",
		"KeySpec":               k.spec,
		"KeyState":              k.state,
		"KeyUsage":              k.usage,
		"MultiRegion":           k.multiRegion,
		"Origin":                k.origin,
	}
	if current := k.materials.current(); current != nil {
		m["CurrentKeyMaterialId"] = current.id
	}
	if k.state == statePendingDeletion {
		m["DeletionDate"] = seconds(k.deletion)
	}
	if k.multiRegion {
		kind := "PRIMARY"
		if k.isReplica {
			kind = "REPLICA"
		}
		m["MultiRegionConfiguration"] = map[string]any{"MultiRegionKeyType": kind}
	}
	return m
}

// seconds is a time as AWS JSON 1.1 has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

type keyIn struct{ KeyId string } // the service's name

func (f *Fake) describeKey(c *Call, in keyIn) (any, error) {
	k, err := f.resolve(in.KeyId)
	if err != nil {
		return nil, err
	}
	c.KeyARN = k.arn
	return map[string]any{"KeyMetadata": k.metadata()}, nil
}

func (f *Fake) listKeys(_ *Call, in pageIn) (any, error) {
	ids := slices.Sorted(maps.Keys(f.keys))
	return page(in, "Keys", ids, func(id string) any {
		return map[string]any{"KeyId": id, "KeyArn": f.keys[id].arn}
	})
}

func (f *Fake) enableKey(c *Call, in keyIn) (any, error) {
	return f.setState(c, in, stateDisabled, stateEnabled)
}

func (f *Fake) disableKey(c *Call, in keyIn) (any, error) {
	return f.setState(c, in, stateEnabled, stateDisabled)
}

// setState moves a key from one of two states to the other.
func (f *Fake) setState(c *Call, in keyIn, from, to string) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.state != from && k.state != to {
		return nil, newError("KMSInvalidStateException", k.arn+" is in state "+k.state+".")
	}
	k.state = to
	return nil, nil // the operation has no output
}

type deletionIn struct {
	KeyId               string // the service's name
	PendingWindowInDays *int
}

func (f *Fake) scheduleKeyDeletion(c *Call, in deletionIn) (any, error) {
	days := 30
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, invalid("Value at 'pendingWindowInDays' failed to satisfy constraint: Member must be between 7 and 30")
	}
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.changeable(); err != nil {
		return nil, err
	}
	k.state, k.deletion = statePendingDeletion, time.Now().AddDate(0, 0, days)
	return map[string]any{
		"KeyId": k.arn, "DeletionDate": seconds(k.deletion),
		"KeyState": k.state, "PendingWindowInDays": days,
	}, nil
}

// cancelKeyDeletion leaves the key disabled, as the service does.
func (f *Fake) cancelKeyDeletion(c *Call, in keyIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.state != statePendingDeletion {
		return nil, newError("KMSInvalidStateException", k.arn+" is not pending deletion.")
	}
	k.state = stateDisabled
	if !k.materials.complete() {
		k.state = statePendingImport
	}
	return map[string]any{"KeyId": k.arn}, nil
}

type replicateIn struct{ KeyId, ReplicaRegion string } // the service's name

func (f *Fake) replicateKey(c *Call, in replicateIn) (any, error) {
	k, err := f.resolveKey(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if !k.multiRegion || k.isReplica {
		return nil, newError("UnsupportedOperationException", k.arn+" is not a multi-Region primary key.")
	}
	to, ok := f.cloud.regions[in.ReplicaRegion]
	if !ok {
		to = f.cloud.start(in.ReplicaRegion)
	}
	if _, ok := to.keys[k.id]; ok || in.ReplicaRegion == f.region {
		return nil, newError("AlreadyExistsException", "the key is in "+in.ReplicaRegion+" already")
	}
	replica := *k // the materials are shared: a rotation of the primary is one of the replica
	replica.arn, replica.isReplica = to.arn("key/"+k.id), true
	to.keys[k.id] = &replica
	return map[string]any{"ReplicaKeyMetadata": replica.metadata()}, nil
}
