// Package floors keeps the house in order: its test reads every import line of the module and fails
// where a package imports one that it may not know.
//
// Who may import whom stands in rules.go, and nowhere else. A new package needs a line there.
//
// The import lines are read from the files themselves, of every build tag and platform: what a
// subprocess reads, the go command's test cache does not see, so a check through "go list" would go on
// passing from the cache after a bad import was added.
package floors

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ModulePath is the module whose tree is checked.
const ModulePath = "github.com/rowseal/rowseal"

// Rule says which packages of the module the packages that match a pattern may import.
type Rule struct {
	// Pattern is a package's path below the module's, "." for the root: "kms", "kms/*" for one level,
	// "examples/..." for a package and all below it.
	Pattern string
	// Floor orders the house, 0 at the bottom. No rule may allow an import from a higher floor, or from
	// another package of the same one unless Pattern and Imports lie in the same top folder.
	Floor int
	// Imports are patterns of what may be imported, as in Pattern.
	Imports []string
	// Never are import path prefixes that must not be reached, directly or through packages of this
	// module: what the smallest front door must not pull into its users' binaries.
	Never []string
}

// Package is one folder of Go files: its imports without and with test files.
type Package struct {
	Path        string // below the module's path, "." for the root
	Imports     []Import
	TestImports []Import
}

// Import is one import line.
type Import struct {
	File string // below the module's root
	Line int
	Path string // as written
}

// inside returns the path below the module's, and false for another module's or the library's.
func (i Import) inside() (string, bool) {
	if i.Path == ModulePath {
		return ".", true
	}
	return strings.CutPrefix(i.Path, ModulePath+"/")
}

// Read finds the packages below root, which holds go.mod. It leaves out testdata, vendor, folders that
// begin with "." or "_", and folders that are modules of their own.
func Read(root fs.FS) ([]Package, error) {
	found := map[string]*Package{}
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skip(root, name)
		case !strings.HasSuffix(name, ".go") || strings.HasPrefix(path.Base(name), "_") ||
			strings.HasPrefix(path.Base(name), "."):
			return nil
		}
		imports, err := readImports(root, name)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := found[dir]
		if p == nil {
			p = &Package{Path: dir}
			found[dir] = p
		}
		if strings.HasSuffix(name, "_test.go") {
			p.TestImports = append(p.TestImports, imports...)
		} else {
			p.Imports = append(p.Imports, imports...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("floors: %w", err)
	}
	packages := make([]Package, 0, len(found))
	for _, p := range found {
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return packages, nil
}

// skip returns fs.SkipDir for a folder that the go command would not build as part of this module.
func skip(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func readImports(root fs.FS, name string) ([]Import, error) {
	source, err := fs.ReadFile(root, name)
	if err != nil {
		return nil, err
	}
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports := make([]Import, 0, len(file.Imports))
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", positions.Position(spec.Pos()), err)
		}
		imports = append(imports, Import{File: name, Line: positions.Position(spec.Pos()).Line, Path: imported})
	}
	return imports, nil
}

// matches reports whether a package's path is one that the pattern means.
func matches(pattern, pkg string) bool {
	if top, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == top || strings.HasPrefix(pkg, top+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, pkg) })
}
