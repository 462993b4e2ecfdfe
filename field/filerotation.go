package field

import "time"

// Rotation is the section `rotation` of a policy file: how old a key may become
// before it is due for rotation. Zero means that it never is.
type Rotation struct {
	// TenantKey is for the current version of each tenant's key.
	TenantKey time.Duration
	// RootKey is for the current version of each root key.
	RootKey time.Duration
}

// maxAge is more than any cryptoperiod.
const maxAge = 3650 * day

var rotationWords = words{accepted: []string{"tenant_key", "root_key"}}

func (r *fileReader) rotation(n *yamlNode) (f Rotation) {
	values := r.mapping(n, rotationWords)
	for word, into := range map[string]*time.Duration{"tenant_key": &f.TenantKey, "root_key": &f.RootKey} {
		if v := values[word]; v != nil {
			*into = r.duration(v, maxAge)
		}
	}
	return f
}
