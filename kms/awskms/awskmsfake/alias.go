package awskmsfake

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
)

type alias struct {
	name, keyID      string
	created, updated time.Time
}

var aliasName = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)

type aliasIn struct{ AliasName, TargetKeyId string } // the service's name

func (f *Fake) createAlias(c *Call, in aliasIn) (any, error) {
	if !aliasName.MatchString(in.AliasName) {
		return nil, newError("InvalidAliasNameException", "the alias name "+in.AliasName+" is invalid")
	}
	if len(in.AliasName) > 10 && in.AliasName[:10] == "alias/aws/" {
		return nil, newError("InvalidAliasNameException", "the prefix alias/aws/ is reserved")
	}
	if _, ok := f.aliases[in.AliasName]; ok {
		return nil, newError("AlreadyExistsException", "An alias with the name "+f.arn(in.AliasName)+" already exists")
	}
	k, err := f.target(c, in.TargetKeyId)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	f.aliases[in.AliasName] = &alias{name: in.AliasName, keyID: k.id, created: now, updated: now}
	return nil, nil // the operation has no output
}

func (f *Fake) updateAlias(c *Call, in aliasIn) (any, error) {
	a, ok := f.aliases[in.AliasName]
	if !ok {
		return nil, notFound("Alias " + f.arn(in.AliasName) + " is not found.")
	}
	k, err := f.target(c, in.TargetKeyId)
	if err != nil {
		return nil, err
	}
	if old := f.keys[a.keyID]; old.usage != k.usage {
		return nil, invalid("the alias's old and new key must have the same usage")
	}
	a.keyID, a.updated = k.id, time.Now()
	return nil, nil // the operation has no output
}

func (f *Fake) target(c *Call, keyID string) (*key, error) {
	k, err := f.resolveKey(c, keyID)
	if err != nil {
		return nil, err
	}
	return k, k.changeable()
}

func (f *Fake) deleteAlias(_ *Call, in aliasIn) (any, error) {
	if _, ok := f.aliases[in.AliasName]; !ok {
		return nil, notFound("Alias " + f.arn(in.AliasName) + " is not found.")
	}
	delete(f.aliases, in.AliasName)
	return nil, nil // the operation has no output
}

type listAliasesIn struct {
	pageIn
	KeyId string // the service's name
}

func (f *Fake) listAliases(c *Call, in listAliasesIn) (any, error) {
	names := slices.Sorted(maps.Keys(f.aliases))
	if in.KeyId != "" {
		k, err := f.resolveKey(c, in.KeyId)
		if err != nil {
			return nil, err
		}
		names = slices.DeleteFunc(names, func(name string) bool { return f.aliases[name].keyID != k.id })
	}
	return page(in.pageIn, "Aliases", names, func(name string) any {
		a := f.aliases[name]
		return map[string]any{
			"AliasName": name, "AliasArn": f.arn(name), "TargetKeyId": a.keyID,
			"CreationDate": seconds(a.created), "LastUpdatedDate": seconds(a.updated),
		}
	})
}

type pageIn struct {
	Limit  *int
	Marker string
}

// page answers a list operation: at most Limit (100 unless given) of all from
// Marker on, under the given name.
func page[T any](in pageIn, name string, all []T, entry func(T) any) (any, error) {
	limit, start := 100, 0
	if in.Limit != nil {
		limit = *in.Limit
	}
	if limit < 1 || limit > 1000 {
		return nil, invalid("Value at 'limit' failed to satisfy constraint: Member must be between 1 and 1000")
	}
	if in.Marker != "" {
		n, err := strconv.Atoi(in.Marker)
		if err != nil || n < 0 || n > len(all) {
			return nil, newError("InvalidMarkerException", "the marker is not one that this operation returned")
		}
		start = n
	}
	end := min(start+limit, len(all))
	entries := make([]any, 0, end-start)
	for _, item := range all[start:end] {
		entries = append(entries, entry(item))
	}
	out := map[string]any{name: entries, "Truncated": end < len(all)}
	if end < len(all) {
		out["NextMarker"] = strconv.Itoa(end)
	}
	return out, nil
}
