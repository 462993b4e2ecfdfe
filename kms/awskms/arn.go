package awskms

import (
	"regexp"
	"slices"
	"strings"
)

// A KMS key's id is a UUID, or mrk- and 32 hex digits for multi-Region keys.
const keyIDForm = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32}`

var (
	keyIDPattern  = regexp.MustCompile(`^(?:` + keyIDForm + `)$`)
	keyARNPattern = regexp.MustCompile(`^arn:(aws[a-z0-9-]*):kms:([a-z0-9-]+):([0-9]{12}):key/(` + keyIDForm + `)$`)
	aliasPattern  = regexp.MustCompile(`^(?:arn:(aws[a-z0-9-]*):kms:([a-z0-9-]+):([0-9]{12}):)?alias/[a-zA-Z0-9/_-]+$`)
)

// target is what a KeyID says about the key that it names. Fields that it does
// not tell are empty.
type target struct {
	partition, region, account, key string
	alias                           bool
}

func parseKeyID(keyID string) (target, bool) {
	if len(keyID) > 2048 {
		return target{}, false
	}
	if m := keyARNPattern.FindStringSubmatch(keyID); m != nil {
		return target{partition: m[1], region: m[2], account: m[3], key: m[4]}, true
	}
	if m := aliasPattern.FindStringSubmatch(keyID); m != nil {
		return target{partition: m[1], region: m[2], account: m[3], alias: true}, true
	}
	return target{key: keyID}, keyIDPattern.MatchString(keyID)
}

func (t target) isKeyARN() bool { return t.region != "" && !t.alias }

// scope is which keys a KMS serves.
type scope struct {
	partition, region string
	accounts          []string // any when empty
}

func newScope(region, partition string, accounts []string) scope {
	if partition == "" {
		partition = partitionOf(region)
	}
	return scope{partition: partition, region: region, accounts: slices.Clone(accounts)}
}

// serve returns the ARN under which the region knows the key that rootKey
// names, and false when the key is foreign. Regions know a multi-Region key by
// one id, so only the region in its ARN is exchanged.
func (s scope) serve(rootKey string) (local string, ok bool) {
	m := keyARNPattern.FindStringSubmatch(rootKey)
	if m == nil || len(rootKey) > 255 {
		return "", false
	}
	partition, region, account, key := m[1], m[2], m[3], m[4]
	if partition != s.partition || len(s.accounts) > 0 && !slices.Contains(s.accounts, account) {
		return "", false
	}
	if region != s.region && !strings.HasPrefix(key, "mrk-") {
		return "", false
	}
	return "arn:" + partition + ":kms:" + s.region + ":" + account + ":key/" + key, true
}

// partitionOf returns the partition that a region belongs to. A region of a
// partition that is not listed is taken to be in the main one; give the key's
// ARN as KeyID there.
func partitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-isob-", "aws-iso-b"},
		{"us-isof-", "aws-iso-f"},
		{"eu-isoe-", "aws-iso-e"},
		{"us-iso-", "aws-iso"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}
