package field

import (
	"fmt"
	"strings"
)

var (
	searchWords = words{accepted: []string{"equality"}, later: []string{"prefix", "contains", "range"}}
	scopeWords  = words{accepted: []string{"tenant", "global"}}
)

// add takes one kind of search into s, as policies and tags write it.
func (s *Search) add(word string) (problem string) {
	name, _, parameters := strings.Cut(word, "(")
	name = strings.TrimSpace(name)
	if problem := searchWords.check(name); problem != "" {
		return problem
	}
	switch {
	case parameters:
		return fmt.Sprintf("this version does not support parameters of %q; accepted: %s", name, strings.Join(searchWords.accepted, ", "))
	case s.Equality:
		return fmt.Sprintf("%q is written twice; keep one", name)
	}
	s.Equality = true
	return ""
}

// words are the kinds of s as policies and tags write them.
func (s Search) words() (list []string) {
	if s.Equality {
		list = append(list, "equality")
	}
	return list
}

// parseSearch reads what a tag says of search: "equality|prefix(3..8)".
func parseSearch(text string) (s Search, problem string) {
	for word := range strings.SplitSeq(text, "|") {
		if problem = s.add(word); problem != "" {
			return Search{}, problem
		}
	}
	return s, ""
}

// columnSearch reads how the column is found, and with whose index key.
func (r *policyReader) columnSearch(values map[string]*yamlNode, cfg *ColumnConfig) {
	search, scope, domain := values["search"], values["scope"], values["domain"]
	if search != nil {
		cfg.Search = r.search(search)
		if values["wrap"] != nil {
			r.fail(search, "needs index keys from a key store and does not go with `wrap: kms`; remove one of them")
		}
		if cfg.Type.Valid() && !cfg.Type.HasEquality() {
			r.fail(search, "type %s has no equality that terms could follow; remove `search`%s", cfg.Type, equalityHint(cfg.Type))
		}
	}
	if scope != nil {
		if r.word(scope, scopeWords) == 1 {
			cfg.Scope = ScopeGlobal
		}
		if search == nil {
			r.fail(scope, "goes with `search` only; add `search: [equality]` or remove `scope`")
		}
	}
	if domain != nil {
		cfg.Domain, _ = r.id(domain)
		if search == nil {
			r.fail(domain, "goes with `search` only; add `search: [equality]` or remove `domain`")
		}
	}
}

// search reads a list of kinds.
func (r *fileReader) search(n *yamlNode) (s Search) {
	accepted := strings.Join(searchWords.accepted, ", ")
	if n.kind != yamlSequence {
		r.fail(n, "is %s, not a list; write [equality]; accepted in it: %s", n.kind, accepted)
		return s
	}
	if len(n.items) == 0 {
		r.fail(n, "lists no kind of search; accepted: %s", accepted)
	}
	for _, item := range n.items {
		if word, ok := r.text(item); ok {
			if problem := s.add(word); problem != "" {
				r.fail(item, "%s", problem)
			}
		}
	}
	return s
}
