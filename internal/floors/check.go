package floors

import (
	"fmt"
	"slices"
	"strings"
)

// Check returns what the packages do against the rules, one sentence per finding, in the order of the
// packages. Tests may import everything but the packages that match programs.
func Check(packages []Package, rules []Rule, programs []string) []string {
	house := house{rules: rules, packages: map[string]Package{}}
	for _, p := range packages {
		house.packages[p.Path] = p
	}
	findings := contradictions(rules)
	for _, p := range packages {
		rule, ok := house.rule(p.Path)
		if !ok {
			findings = append(findings, fmt.Sprintf("package %s has no floor: add a line for it to Rules "+
				"in internal/floors/rules.go", p.Path))
			continue
		}
		findings = append(findings, house.direct(p, rule)...)
		findings = append(findings, house.reached(p, rule)...)
		findings = append(findings, tests(p, programs)...)
	}
	return findings
}

type house struct {
	rules    []Rule
	packages map[string]Package
}

func (h house) rule(pkg string) (Rule, bool) {
	for _, r := range h.rules {
		if matches(r.Pattern, pkg) {
			return r, true
		}
	}
	return Rule{}, false
}

// direct finds imports that the package's rule does not allow.
func (h house) direct(p Package, rule Rule) []string {
	var findings []string
	for _, i := range p.Imports {
		imported, ok := i.inside()
		if !ok || imported == p.Path || matchesAny(rule.Imports, imported) {
			continue
		}
		from := "has no floor"
		if r, ok := h.rule(imported); ok {
			from = fmt.Sprintf("is on floor %d", r.Floor)
		}
		findings = append(findings, fmt.Sprintf("%s:%d: %s (floor %d) must not import %s, which %s; it may import: %s",
			i.File, i.Line, p.Path, rule.Floor, imported, from, listed(rule.Imports)))
	}
	return findings
}

func listed(patterns []string) string {
	if len(patterns) == 0 {
		return "nothing of this module"
	}
	return strings.Join(patterns, ", ")
}

// reached finds imports of other modules that the package must not pull in, following imports within
// this module.
func (h house) reached(p Package, rule Rule) []string {
	if len(rule.Never) == 0 {
		return nil
	}
	var findings []string
	seen := map[string]bool{p.Path: true}
	type step struct {
		pkg string
		way string
	}
	for queue := []step{{p.Path, p.Path}}; len(queue) > 0; queue = queue[1:] {
		here := queue[0]
		for _, i := range h.packages[here.pkg].Imports {
			if imported, ok := i.inside(); ok {
				if !seen[imported] {
					seen[imported] = true
					queue = append(queue, step{imported, here.way + " -> " + imported})
				}
				continue
			}
			if slices.ContainsFunc(rule.Never, func(prefix string) bool { return strings.HasPrefix(i.Path, prefix) }) {
				findings = append(findings, fmt.Sprintf("%s:%d: %s must not pull in %s (by way of %s)",
					i.File, i.Line, p.Path, i.Path, here.way))
			}
		}
	}
	return findings
}

// tests finds test files that import a program.
func tests(p Package, programs []string) []string {
	var findings []string
	for _, i := range p.TestImports {
		imported, ok := i.inside()
		if ok && matchesAny(programs, imported) && !sameTop(imported, p.Path) {
			findings = append(findings, fmt.Sprintf("%s:%d: a test must not import %s: nothing imports programs",
				i.File, i.Line, imported))
		}
	}
	return findings
}

// contradictions finds rules that allow what the order of the floors forbids.
func contradictions(rules []Rule) []string {
	var findings []string
	for _, r := range rules {
		for _, other := range rules {
			if r.Pattern == other.Pattern || !matchesAny(r.Imports, other.Pattern) {
				continue
			}
			leaf := len(other.Imports) == 0
			if other.Floor > r.Floor || (other.Floor == r.Floor && !leaf && !sameTop(r.Pattern, other.Pattern) && r.Floor < 4) {
				findings = append(findings, fmt.Sprintf("the rules let %s (floor %d) import %s (floor %d)",
					r.Pattern, r.Floor, other.Pattern, other.Floor))
			}
		}
	}
	return findings
}

func sameTop(a, b string) bool {
	topA, _, _ := strings.Cut(a, "/")
	topB, _, _ := strings.Cut(b, "/")
	return topA == topB
}
