package floors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheHouseIsInOrder(t *testing.T) {
	packages, err := Read(os.DirFS(moduleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Fatal("no packages found")
	}
	for _, finding := range Check(packages, Rules, programs) {
		t.Error(finding)
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "module "+ModulePath+"\n") {
		t.Fatalf("%s does not hold the module %s", root, ModulePath)
	}
	return root
}

// source is a Go file that imports the given paths; "/x" stands for x in this module.
func source(imports ...string) *fstest.MapFile {
	var text strings.Builder
	text.WriteString("package p\n")
	for _, path := range imports {
		if strings.HasPrefix(path, "/") {
			path = ModulePath + path
		}
		fmt.Fprintf(&text, "import _ %q\n", path)
	}
	return &fstest.MapFile{Data: []byte(text.String())}
}

// goodHouse is a tree in order, on which each case does one thing wrong.
func goodHouse() fstest.MapFS {
	return fstest.MapFS{
		"envelope/envelope.go":              source("crypto/cipher", "/internal/secretmem"),
		"codec/codec.go":                    source("github.com/jackc/pgx/v5/pgtype"),
		"kms/kms.go":                        source("context"),
		"kms/awskms/aws.go":                 source("/kms", "github.com/aws/aws-sdk-go-v2/service/kms"),
		"kms/awskms/awstest/fake.go":        source("/kms/awskms"),
		"keyring/keyring.go":                source("/envelope", "/kms"),
		"keyring/keyring_test.go":           source("/kms/awskms", "/keyring/sqlstore", "/internal/testpg"),
		"keyring/sqlstore/store.go":         source("/keyring"),
		"field/cipher.go":                   source("/codec", "/envelope"),
		"gormplugin/plugin.go":              source("/field", "gorm.io/gorm"),
		"sqlproxy/proxy.go":                 source("/field", "/sqlproxy/internal/plan"),
		"sqlproxy/internal/plan/plan.go":    source("/field"),
		"rotate/rotate.go":                  source("/field", "/keyring"),
		"rotate/riverjob/job.go":            source("/rotate", "github.com/riverqueue/river"),
		"cmd/rowseal/main.go":               source("/rotate", "/kms/awskms", "/internal/localpg", "github.com/spf13/cobra"),
		"internal/localpg/localpg.go":       source("os/exec"),
		"internal/secretmem/secretmem.go":   source("runtime"),
		"internal/testpg/testpg.go":         source("/internal/localpg"),
		"internal/testpg/withpg/main.go":    source("/internal/testpg", "github.com/testcontainers/testcontainers-go"),
		"tools/go.mod":                      {Data: []byte("module tools\n")},
		"tools/tools.go":                    source("/cmd/rowseal"),
		"envelope/testdata/generate/gen.go": source("/cmd/rowseal"),
		"_old/old.go":                       source("/cmd/rowseal"),
	}
}

func TestCheckFindsNothingInAHouseInOrder(t *testing.T) {
	packages, err := Read(goodHouse())
	if err != nil {
		t.Fatal(err)
	}
	if findings := Check(packages, Rules, programs); len(findings) != 0 {
		t.Errorf("%q", findings)
	}
}

func TestCheckReports(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		source     *fstest.MapFile
		want       []string // what the one finding says
	}{
		{
			"an import between packages of floor 0", "envelope/bad.go", source("/codec"),
			[]string{"envelope/bad.go:2", "must not import codec", "floor 0"},
		},
		{
			"an import from a higher floor", "envelope/bad.go", source("strings", "/keyring"),
			[]string{"envelope/bad.go:3", "must not import keyring", "floor 1"},
		},
		{
			"an import under a build tag", "field/bad.go",
			&fstest.MapFile{Data: []byte("//go:build plan9\n\npackage p\n\nimport _ \"" + ModulePath + "/keyring\"\n")},
			[]string{"field/bad.go:5", "must not import keyring"},
		},
		{
			"an example that nobody could copy", "examples/bad/main.go", source("/field", "/internal/localpg"),
			[]string{"examples/bad/main.go:3", "must not import internal/localpg"},
		},
		{
			"a conformance suite that knows a provider", "kms/kmstest/bad.go", source("/kms/localkms"),
			[]string{"kms/kmstest/bad.go:2", "must not import kms/localkms"},
		},
		{
			"a front door that imports another", "gormplugin/bad.go", source("/rotate"),
			[]string{"gormplugin/bad.go:2", "must not import rotate"},
		},
		{
			"a front door that goes round the field to the keys", "gormplugin/bad.go", source("/keyring"),
			[]string{"must not import keyring"},
		},
		{
			"a key store that reaches for the cache", "keyring/sqlstore/bad.go", source("/dekcache"),
			[]string{"must not import dekcache"},
		},
		{
			"the shared server in a package that is not a test", "keyring/bad.go", source("/internal/testpg"),
			[]string{"must not import internal/testpg"},
		},
		{
			"a program imported by a package", "rotate/bad.go", source("/cmd/rowseal"),
			[]string{"must not import cmd/rowseal"},
		},
		{
			"a program imported by a test", "codec/bad_test.go", source("/cmd/rowseal"),
			[]string{"codec/bad_test.go:2", "test must not import cmd/rowseal"},
		},
		{
			"a package without a floor", "telemetry/telemetry.go", source("context"),
			[]string{"package telemetry has no floor", "internal/floors/rules.go"},
		},
		{
			"the root package, which has no floor either", "rowseal.go", source("context"),
			[]string{"package . has no floor"},
		},
		{
			"a cloud's client in a front door", "gormplugin/bad.go", source("github.com/aws/aws-sdk-go-v2/service/kms"),
			[]string{"gormplugin/bad.go:2", "gormplugin must not pull in github.com/aws/"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := goodHouse()
			tree[tt.file] = tt.source
			expectFindings(t, tree, tt.want)
		})
	}
}

func TestCheckFollowsImportsToWhatAPackagePullsIn(t *testing.T) {
	tree := goodHouse()
	tree["codec/bad.go"] = source("github.com/spf13/cobra")
	packages, err := Read(tree)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(Check(packages, Rules, programs), "\n")
	for _, want := range []string{
		"codec must not pull in github.com/spf13/cobra (by way of codec)",
		"field must not pull in github.com/spf13/cobra (by way of field -> codec)",
		"gormplugin must not pull in github.com/spf13/cobra (by way of gormplugin -> field -> codec)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("not reported: %s\nbut:\n%s", want, all)
		}
	}
	if strings.Contains(all, "rotate must") {
		t.Errorf("rotate may pull in what it likes, but:\n%s", all)
	}
}

// expectFindings checks that the tree has exactly one finding, and that it says all of want.
func expectFindings(t *testing.T, tree fstest.MapFS, want []string) {
	t.Helper()
	packages, err := Read(tree)
	if err != nil {
		t.Fatal(err)
	}
	findings := Check(packages, Rules, programs)
	if len(findings) != 1 {
		t.Fatalf("want one finding, got %q", findings)
	}
	for _, part := range want {
		if !strings.Contains(findings[0], part) {
			t.Errorf("%q does not say %q", findings[0], part)
		}
	}
}

func TestCheckReportsRulesThatContradictTheFloors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []Rule
		want  string
	}{
		{
			"a rule that lets a floor look up",
			[]Rule{{Pattern: "low", Floor: 0, Imports: []string{"high"}}, {Pattern: "high", Floor: 1}},
			"the rules let low (floor 0) import high (floor 1)",
		},
		{
			"a rule that joins neighbours",
			[]Rule{
				{Pattern: "one", Floor: 1, Imports: []string{"two"}},
				{Pattern: "two", Floor: 1, Imports: []string{"zero"}},
				{Pattern: "zero"},
			},
			"the rules let one (floor 1) import two (floor 1)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Check(nil, tt.rules, nil)
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReadRefusesAFileThatIsNotGo(t *testing.T) {
	_, err := Read(fstest.MapFS{"codec/bad.go": {Data: []byte("import, please\n")}})
	if err == nil || !strings.Contains(err.Error(), "codec/bad.go") {
		t.Errorf("got %v", err)
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"kms", "kms", true},
		{"kms", "kms/awskms", false},
		{"kms/*", "kms/awskms", true},
		{"kms/*", "kms/awskms/awstest", false},
		{"kms/...", "kms", true},
		{"kms/...", "kms/awskms/awstest", true},
		{"kms/...", "kmsx", false},
		{".", ".", true},
	} {
		if got := matches(tt.pattern, tt.pkg); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.pkg, got)
		}
	}
}
