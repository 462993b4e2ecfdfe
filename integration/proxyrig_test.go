package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/keyring/keyringtest"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/kmscount"
	"github.com/rowseal/rowseal/kms/localkms"
	"github.com/rowseal/rowseal/sqlproxy"
)

// proxyPolicy is what the proxy of these tests seals.
const proxyPolicy = `
tenant: {default: acme}
tables:
  users:
    columns:
      ssn:    {type: text, search: [equality], scope: global, domain: ssn}
      name:   {type: varchar(45), search: [equality]}
      dob:    {type: date, search: [equality]}
      salary: {type: "numeric(10,2)", search: [equality]}
      num:    {type: int4, search: [equality]}
      doc:    {type: jsonb}
      tags:   {type: "text[]"}
      bio:    {type: text, key: row}
  orders:
    columns:
      user_ssn: {type: text, search: [equality], scope: global, domain: ssn}
  patients:
    tenant: {column: clinic}
    columns:
      ssn:  {type: text, search: [equality]}
      note: {type: text, key: row}
  cards:
    rowid: {column: id}
    columns:
      number: {type: text, search: [equality]}
  typed:
    columns:
      c5: {type: "char(5)", search: [equality]}
      f4: {type: float4, search: [equality]}
      i8: {type: int8, search: [equality]}
      ts: {type: timestamp, search: [equality]}
`

// proxyTables are the tables; %s stands for the type of a column that is sealed,
// which the twin database has in clear.
const proxyTables = `
CREATE TABLE users (id int PRIMARY KEY, note text, city text DEFAULT 'Rome',
	ssn {text}, name {varchar(45)}, dob {date}, salary {numeric(10,2)}, num {int4}, doc {jsonb}, tags {text[]}, bio {text});
CREATE TABLE orders (id int PRIMARY KEY, user_ssn {text}, item text, price numeric(10,2));
CREATE TABLE patients (id int PRIMARY KEY, clinic text, ssn {text}, note {text}, room int);
CREATE TABLE cards (id int PRIMARY KEY, number {text}, label text);
CREATE TABLE typed (id int PRIMARY KEY, c5 {char(5)}, f4 {float4}, i8 {int8}, ts {timestamp});
CREATE TABLE plain (id int PRIMARY KEY, body text, amount int);
CREATE TABLE raw (id int PRIMARY KEY, data bytea);
CREATE VIEW v_users AS SELECT id, ssn, name, note FROM users;
CREATE VIEW v_nested AS SELECT id, ssn AS s FROM v_users WHERE id > 0;
CREATE VIEW v_plain AS SELECT id, upper(note) AS note FROM users;
CREATE SCHEMA other;
CREATE TABLE other.users (id int PRIMARY KEY, ssn text);
CREATE FUNCTION touch(t text) RETURNS text LANGUAGE sql AS 'SELECT $1';
`

// proxyIndexes are the unique indexes of the sealed database, as the twin's
// are over the plain columns.
const (
	sealedIndexes = `CREATE UNIQUE INDEX users_ssn ON users (substr(ssn, 9, 16));
CREATE UNIQUE INDEX cards_number ON cards (substr(number, 9, 16));`
	plainIndexes = `CREATE UNIQUE INDEX users_ssn ON users (ssn); CREATE UNIQUE INDEX cards_number ON cards (number);`
)

// proxySeeds are written through the proxy to the sealed database, and directly to the twin.
var proxySeeds = []string{
	`INSERT INTO users (id, note, ssn, name, dob, salary, num, doc, tags, bio) VALUES
	(1, 'first', 'canary-ssn-1', 'canaryAda', '1987-06-05', 13579.24, 42424201, '{"canary": 1}', '{canaryA,b}', 'canary-bio-1'),
	(2, 'second', 'canary-ssn-2', 'canaryBob', '1987-06-06', 13579.25, 42424202, '{"canary": 2}', '{canaryB,NULL}', 'canary-bio-2'),
	(3, 'third', 'canary-ssn-3', 'canaryAda', '1987-06-05', 13579.24, 42424201, NULL, NULL, NULL),
	(4, 'fourth', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	`INSERT INTO orders (id, user_ssn, item, price) VALUES (10, 'canary-ssn-1', 'pen', 1.50), (11, 'canary-ssn-1', 'ink', 2.50),
	(12, 'canary-ssn-2', 'cap', 3.50), (13, NULL, 'hat', 4.50), (14, 'canary-ssn-9', 'bag', 5.50)`,
	`INSERT INTO patients (id, clinic, ssn, note, room) VALUES (20, 'north', 'canary-pat-1', 'canary-note-1', 1),
	(21, 'north', 'canary-pat-2', 'canary-note-2', 2), (22, 'south', 'canary-pat-1', 'canary-note-3', 3)`,
	`INSERT INTO cards (id, number, label) VALUES (30, 'canary-4111', 'visa'), (31, 'canary-5500', 'master')`,
	`INSERT INTO typed (id, c5, f4, i8, ts) VALUES (1, 'ab', 1.1, 8172635441, '2031-04-05 00:00'), (2, 'cdcd', 16777216, 8172635442, '2031-04-05 06:07')`,
	`INSERT INTO plain (id, body, amount) VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30)`,
	`INSERT INTO raw (id, data) VALUES (1, '\x01'), (2, NULL)`,
}

// rig is a proxy in front of a database, with a twin in clear beside it.
type rig struct {
	Version version
	Server  *localpg.Server
	Tap     *tap
	KMS     *kmscount.KMS
	Cipher  *field.Cipher
	File    *field.File

	Through string // the sealed database through the proxy
	Direct  string // the sealed database as it is
	Twin    string // the twin in clear, on another server, directly
	Log     logBuffer
}

// logBuffer keeps a server's log.
type logBuffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

// Bytes gives what was logged.
func (b *logBuffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.data.Bytes())
}

// versions are the servers that the proxy is tested with: the machine's own, and the newest, which
// scripts/ensure.sh installs.
var versions = []version{
	{name: "PostgreSQL of the machine"},
	{name: "PostgreSQL 18", binDir: filepath.Join("..", "bin", "pg18", "native", "bin")},
}

type version struct{ name, binDir string }

// rig starts a server that logs every statement, both databases, a tap and a
// proxy.
func (v version) rig(t testing.TB) *rig {
	t.Helper()
	r := v.bareRig(t, proxyPolicy)
	r.exec(t, r.Direct, sealedTables(t, r.File.Policy)+sealedIndexes)
	r.exec(t, r.Twin, twinTables()+plainIndexes)
	r.Through = r.start(t, r.Tap.Addr())
	for _, seed := range proxySeeds {
		r.exec(t, r.Through, seed)
		r.exec(t, r.Twin, seed)
	}
	return r
}

// bareRig starts what a proxy under the policy needs, with nothing in the databases.
func (v version) bareRig(t testing.TB, policy string) *rig {
	t.Helper()
	r := &rig{Version: v}
	r.Server = v.start(t, &r.Log, map[string]string{"log_statement": "all", "log_min_error_statement": "error"})
	file, err := field.ParseFile("rowseal.yaml", []byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	r.File, r.KMS = file, kmscount.New(localkms.Memory())
	ring, err := keyring.New(keyring.Config{Roots: []kms.KMS{r.KMS}, Store: &keyringtest.Store{}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Cipher, err = field.New(field.Config{Keyring: ring}); err != nil {
		t.Fatal(err)
	}
	r.Direct = r.database(t, "sealed")
	r.Twin = v.twin(t)
	r.Tap = newTap(t, hostOf(t, r.Direct))
	return r
}

// start runs a server of this version for a test alone.
func (v version) start(t testing.TB, log io.Writer, settings map[string]string) *localpg.Server {
	t.Helper()
	all := testpg.Settings()
	maps.Copy(all, settings)
	server, err := localpg.Start(t.Context(), localpg.Config{BinDir: v.reachable(t), Settings: all, Log: log})
	if errors.Is(err, localpg.ErrNoBinaries) && testing.Short() {
		t.Skip(err)
	}
	if errors.Is(err, localpg.ErrNoBinaries) {
		t.Fatalf("%v\nrun scripts/ensure.sh postgresql newest", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

// reachable gives the folder of the server programs where the account can read them that the server runs as. A root
// caller's server runs as another user, who may not be able to come into the checkout: it gets a copy.
func (v version) reachable(t testing.TB) string {
	t.Helper()
	if v.binDir == "" || os.Getuid() != 0 {
		return v.binDir
	}
	if _, err := os.Stat(filepath.Join(v.binDir, "initdb")); err != nil {
		return v.binDir // Start says what is missing
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/" && d != "."; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", "-a", filepath.Dir(v.binDir)+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bin")
}

// twin gives an empty database of this version on a server whose log nobody reads.
func (v version) twin(t testing.TB) string {
	t.Helper()
	if v.binDir == "" {
		return testpg.DSN(t)
	}
	return v.start(t, nil, nil).DSN("postgres")
}

// newRig makes a rig with the machine's own server.
func newRig(t testing.TB) *rig { t.Helper(); return versions[0].rig(t) }

// start runs a proxy and gives the connection string through it.
func (r *rig) start(t testing.TB, upstream string) string {
	t.Helper()
	return withHost(t, r.Direct, startProxy(t, r.config(upstream)))
}

// config is a proxy's that seals what the policy says.
func (r *rig) config(upstream string) sqlproxy.Config {
	return sqlproxy.Config{
		Upstream: sqlproxy.Upstream{Address: upstream, Mode: sqlproxy.Disable},
		Policy:   r.File.Policy, Cipher: r.Cipher,
	}
}

// startProxy runs a proxy and gives its address.
func startProxy(t testing.TB, c sqlproxy.Config) string {
	t.Helper()
	proxy, err := sqlproxy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- proxy.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = proxy.Shutdown(ctx) // sessions that a failed test left are ended
		<-served
	})
	return l.Addr().String()
}

// database creates a database and gives its connection string, unencrypted.
func (r *rig) database(t testing.TB, name string) string {
	t.Helper()
	dsn := r.Server.DSN("postgres")
	r.exec(t, dsn, "CREATE DATABASE "+name)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func (r *rig) exec(t testing.TB, dsn, sql string) {
	t.Helper()
	conn := connectPG(t, dsn)
	if _, err := conn.Exec(context.WithoutCancel(t.Context()), sql).ReadAll(); err != nil {
		t.Fatalf("%v\nin %s", err, sql)
	}
}

func connectPG(t testing.TB, dsn string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func sealedTables(t testing.TB, policy *field.Policy) string {
	t.Helper()
	ddl := proxyTables
	for _, table := range policy.Tables() {
		for _, col := range table.Columns() {
			guard := col.Guard()
			ddl += fmt.Sprintf("ALTER TABLE %[1]s ADD CHECK (octet_length(%[2]s) >= 56 AND substr(%[2]s, 1, 6) = '\\x%[3]x');\n",
				table.Name(), col.Name(), guard)
		}
	}
	return braces(ddl, func(string) string { return "bytea" })
}

func twinTables() string { return braces(proxyTables, func(typ string) string { return typ }) }

// braces replaces what stands in braces.
func braces(s string, with func(string) string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		inside, after, _ := strings.Cut(rest, "}")
		out.WriteString(with(inside))
		s = after
	}
}

func hostOf(t testing.TB, dsn string) string {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(c.Host, fmt.Sprint(c.Port))
}

func withHost(t testing.TB, dsn, host string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = host
	q := u.Query()
	q.Del("host")
	q.Set("sslmode", "disable")
	u.RawQuery = q.Encode()
	return u.String()
}

// canaries are what no byte on the way to the server, in its tables or in its log may
// hold. All values that tests seal have one of them.
//
// The numbers among them could stand in the hex digits of a sealed value by chance: only a whole number counts.
var canaries = regexp.MustCompile(`(?i)canary|1987-06-|13579\.2|(?:^|[^0-9a-f])424242[0-9]{0,10}(?:[^0-9a-f]|$)`)

// assertNoCanary fails where one of canaries occurs.
func assertNoCanary(t testing.TB, where string, data []byte) {
	t.Helper()
	if at := canaries.FindIndex(data); at != nil {
		t.Errorf("%s holds a canary: …%q…", where, data[max(0, at[0]-80):min(len(data), at[0]+40)])
	}
}

func TestTheCanariesAreFound(t *testing.T) {
	for text, is := range map[string]bool{
		"xCANARYx": true, "'42424201'": true, "\x00\x0842424201": true, "1987-06-05": true, "13579.24": true, "424242": true,
		`\xf5a424242017c`: false, "f5fe6442424201": false, "1987": false,
	} {
		if canaries.MatchString(text) != is {
			t.Errorf("%q: %v", text, !is)
		}
	}
}

// tap passes connections on and keeps what goes to the server.
type tap struct {
	l    net.Listener
	mu   sync.Mutex
	sent bytes.Buffer
}

func newTap(t testing.TB, server string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{l: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(conn, server)
		}
	}()
	return p
}

func (p *tap) Addr() string { return p.l.Addr().String() }

func (p *tap) carry(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
				_ = client.Close()
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		p.mu.Lock()
		p.sent.Write(buf[:n])
		p.mu.Unlock()
		if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// Take gives what was sent since the last call.
func (p *tap) Take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := bytes.Clone(p.sent.Bytes())
	p.sent.Reset()
	return sent
}
