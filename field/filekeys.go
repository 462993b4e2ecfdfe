package field

import (
	"slices"
	"strings"
	"time"
)

const (
	// maxEntries bounds keys.cache.entries.
	maxEntries = 1_000_000
	// maxRoots bounds keys.kms: each wraps every tenant key.
	maxRoots = 16
	// maxHeld is the longest that any key may be held: destroying a key waits
	// for it. Caches enforce the same.
	maxHeld = time.Hour
)

var (
	keysWords  = words{accepted: []string{"kms", "store", "cache", "intermediate", "suite"}}
	cacheWords = words{accepted: []string{"entries", "ttl"}, later: []string{"stale_grace"}}
	suiteWords = words{accepted: []string{"xaes", "hkdf"}}
)

func (r *fileReader) keys(n *yamlNode) Keys {
	var k Keys
	values := r.mapping(n, keysWords)
	if v := values["kms"]; v != nil {
		k.KMS = r.kms(v)
	}
	if v := values["store"]; v != nil {
		k.Store = r.store(v)
	}
	if v := values["cache"]; v != nil {
		cache := r.mapping(v, cacheWords)
		if e := cache["entries"]; e != nil {
			k.Entries = r.integer(e, 1, maxEntries)
		}
		if t := cache["ttl"]; t != nil {
			k.TTL = r.duration(t, maxHeld)
		}
	}
	if v := values["intermediate"]; v != nil {
		k.Intermediate = r.boolean(v)
	}
	if v := values["suite"]; v != nil {
		k.StrictFIPS = r.word(v, suiteWords) == 1
	}
	return k
}

// kms reads one URL or a list of them.
func (r *fileReader) kms(n *yamlNode) []string {
	items := []*yamlNode{n}
	if n.kind == yamlSequence {
		items = n.items
	}
	if len(items) == 0 || len(items) > maxRoots {
		r.fail(n, "lists %d root keys; accepted: a URL, or a list of 1 to %d", len(items), maxRoots)
		return nil
	}
	urls := make([]string, 0, len(items))
	for _, item := range items {
		url, ok := r.text(item)
		scheme, rest, found := strings.Cut(url, "://")
		switch {
		case !ok:
		case !found || !validScheme(scheme) || rest == "" || strings.ContainsAny(url, " \t\r\n"):
			r.fail(item, "is not a URL; accepted: local:///path/to/root.key, awskms:///alias/NAME?region=REGION, "+
				"or another provider's scheme://…")
		case slices.Contains(urls, url):
			r.fail(item, "is listed twice; keep one")
		default:
			urls = append(urls, url)
		}
	}
	return urls
}

const acceptedStores = "; accepted: postgres, postgres://…, mysql://…, sqlite:///path"

// store does not repeat the value in errors: it may hold a password.
func (r *fileReader) store(n *yamlNode) string {
	s, ok := r.text(n)
	if !ok || s == "postgres" {
		return s
	}
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case strings.ContainsAny(s, " \t\r\n") && scheme != "sqlite":
		r.fail(n, "is not a key store: there is white space in it"+acceptedStores)
	case found && scheme == "file":
		r.fail(n, "this version does not support file://… as a key store"+acceptedStores)
	case found && (scheme == "postgres" || scheme == "mysql") && rest != "":
		return s
	case found && scheme == "sqlite" && (!strings.HasPrefix(rest, "/") || rest == "/"):
		r.fail(n, "names no file; write sqlite:// and an absolute path, as in sqlite:///var/lib/rowseal/keys.db")
	case found && scheme == "sqlite":
		return s
	default:
		r.fail(n, "is not a key store%s%s", hint(scheme, []string{"postgres", "mysql", "sqlite"}), acceptedStores)
	}
	return ""
}
