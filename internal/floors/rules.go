package floors

// leaves are packages without imports of this module that any floor may use.
var leaves = []string{"internal/coarse", "internal/secretmem"}

// heavy is what a program that only seals must not be made to carry: the cloud's clients, the test
// servers, the command line, the job queue.
var heavy = []string{
	"github.com/aws/",
	"cloud.google.com/",
	"github.com/Azure/",
	"github.com/hashicorp/vault/",
	"github.com/miekg/pkcs11",
	"github.com/testcontainers/",
	"github.com/spf13/cobra",
	"github.com/riverqueue/",
}

// programs are the packages that nothing imports, not even tests: they are the top of the house.
var programs = []string{"cmd/...", "examples/...", "integration/...", "internal/testpg/withpg"}

// Rules is the house, from the ground up. The first rule whose pattern matches a package is its rule.
//
// The rules are for non-test files. Tests may import any package but programs: a test of a low floor
// often wants a real key store or server, and that makes nobody's binary larger.
var Rules = []Rule{
	// Floor 0: know none of each other.
	{Pattern: "internal/coarse", Floor: 0},
	{Pattern: "internal/secretmem", Floor: 0},
	{Pattern: "internal/child", Floor: 0},
	{Pattern: "internal/pgpooler", Floor: 0},
	{Pattern: "internal/localpg", Floor: 0, Imports: []string{"internal/child"}},
	{Pattern: "internal/localmysql", Floor: 0, Imports: []string{"internal/child"}},
	{Pattern: "internal/floors", Floor: 0},
	{Pattern: "internal/ratio", Floor: 0}, // for benchmarks: test files alone may import it
	{Pattern: "codec", Floor: 0, Imports: leaves, Never: heavy},
	{Pattern: "envelope", Floor: 0, Imports: leaves, Never: heavy},
	{Pattern: "blindindex", Floor: 0, Imports: leaves, Never: heavy},
	{Pattern: "dekcache", Floor: 0, Imports: leaves, Never: heavy},
	{Pattern: "kms", Floor: 0, Imports: leaves, Never: heavy},

	// Floor 1: the keys.
	{Pattern: "kms/localkms", Floor: 1, Imports: with(leaves, "kms"), Never: heavy},
	{Pattern: "kms/kmstest", Floor: 1, Imports: with(leaves, "kms"), Never: heavy},
	{Pattern: "kms/...", Floor: 1, Imports: with(leaves, "kms", "kms/...")},
	// It builds blindindex's keys itself, because what its caches hold, and must drop in time, is their state.
	{Pattern: "keyring", Floor: 1, Imports: with(leaves, "envelope", "blindindex", "dekcache", "kms"), Never: heavy},
	{Pattern: "keyring/keyringtest", Floor: 1, Imports: with(leaves, "keyring", "envelope", "dekcache", "kms"), Never: heavy},
	{Pattern: "keyring/...", Floor: 1, Imports: with(leaves, "keyring", "keyring/...", "envelope", "kms", "internal/pgpooler"), Never: heavy},
	{Pattern: "internal/testpg", Floor: 1, Imports: []string{"internal/child", "internal/localpg"}},
	{Pattern: "internal/testmysql", Floor: 1, Imports: []string{"internal/child", "internal/localmysql"}},

	// Floor 2: it meets the keyring through an interface of its own, so that a program that opens
	// values from another source of keys carries no key store.
	{Pattern: "field", Floor: 2, Imports: with(leaves, "codec", "envelope", "blindindex"), Never: heavy},

	// Floor 3: what databases hold to protect sealed columns, for all who make or compare it.
	{Pattern: "internal/guard", Floor: 3, Imports: []string{"envelope", "field"}, Never: heavy},

	// Floor 4: the front doors.
	{Pattern: "gormplugin", Floor: 4, Imports: with(fieldAndBelow, "internal/guard"), Never: heavy},
	// It tells a key that cannot be had from a value that does not open, by the errors of keyring and kms.
	{Pattern: "sqlproxy/...", Floor: 4, Imports: with(fieldAndBelow, "keyring", "kms", "internal/guard", "sqlproxy/...")},
	// The one package with the job queue, for programs on several machines.
	{Pattern: "rotate/riverjob", Floor: 4, Imports: with(fieldAndBelow, "keyring", "rotate")},
	{Pattern: "rotate/...", Floor: 4, Imports: with(fieldAndBelow, "keyring", "kms", "internal/guard", "internal/pgpooler", "rotate/..."), Never: []string{"github.com/riverqueue/"}},

	// Floor 5: programs, which put the house together.
	{Pattern: "internal/testpg/withpg", Floor: 5, Imports: []string{"internal/localpg", "internal/testpg", "internal/localmysql", "internal/testmysql"}},
	{Pattern: "cmd/...", Floor: 5, Imports: everything},
	{Pattern: "examples/...", Floor: 5, Imports: published},
	{Pattern: "integration/...", Floor: 5, Imports: everything},
}

var fieldAndBelow = with(leaves, "field", "codec", "envelope", "blindindex")

// published is what examples, which are made to be copied, may import: what any program may.
var published = []string{
	"codec", "envelope", "blindindex",
	"dekcache", "kms", "kms/...", "keyring/...", "field", "gormplugin", "sqlproxy/...", "rotate/...", "examples/...",
}

// everything is what programs may import: all of the house below them, and their own folders.
var everything = with(with(published, leaves...), "internal/guard", "internal/pgpooler", "internal/localpg", "internal/testpg",
	"internal/localmysql", "internal/testmysql", "cmd/...", "integration/...")

func with(patterns []string, more ...string) []string {
	return append(append([]string(nil), patterns...), more...)
}
