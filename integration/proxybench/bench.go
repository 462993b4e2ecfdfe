package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowseal/rowseal/internal/localpg"
)

// bench is a server with what stands in front of it.
type bench struct {
	config
	dir     string
	server  *localpg.Server
	dsn     *url.URL // of the server
	targets []*target
	pprof   string // where the proxy shows its profiles
}

// target is a way to the server.
type target struct {
	name string
	host string
	cmd  *exec.Cmd // what stands between; nil for the direct way
}

const policy = `
keys: {kms: "local://%[1]s/root.key", store: "sqlite://%[1]s/keys.db"}
tenant: {default: bench}
tables:
  people:
    columns:
      ssn:  {type: text, search: [equality], scope: global}
      name: {type: varchar(45)}
proxy: {listen: "%[2]s", upstream: "postgres://%[3]s?sslmode=disable", connections: 5000}
`

const tables = `
CREATE TABLE people (id int PRIMARY KEY, ssn bytea, name bytea, city text);
CREATE TABLE plain (id int PRIMARY KEY, ssn text, name text, city text);
ALTER TABLE people ALTER ssn SET STORAGE EXTERNAL, ALTER name SET STORAGE EXTERNAL;
`

func newBench(ctx context.Context, c config) (b *bench, err error) {
	b = &bench{config: c}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.dir, err = os.MkdirTemp("", "proxybench-"); err != nil {
		return b, err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return b, err
	}
	b.server, err = localpg.Start(ctx, localpg.Config{Settings: map[string]string{
		"fsync": "off", "max_connections": "2100", "shared_buffers": "512MB", "max_wal_size": "4GB",
	}})
	if err != nil {
		return b, err
	}
	if b.dsn, err = url.Parse(b.server.DSN("postgres")); err != nil {
		return b, err
	}
	b.targets = []*target{{name: "direct", host: b.dsn.Host}}
	for _, start := range []func(context.Context) error{b.startRelay, b.startPgBouncer, b.startProxy} {
		if err := start(ctx); err != nil {
			return b, err
		}
	}
	return b, b.fill(ctx)
}

func (b *bench) close() {
	for _, t := range b.targets {
		if t.cmd != nil {
			_ = t.cmd.Process.Kill()
			_ = t.cmd.Wait()
		}
	}
	if b.server != nil {
		_ = b.server.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

func (b *bench) target(name string) *target {
	for _, t := range b.targets {
		if t.name == name {
			return t
		}
	}
	return nil
}

// start runs a program that listens on host.
func (b *bench) start(ctx context.Context, name, host string, cmd *exec.Cmd) error {
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	b.targets = append(b.targets, &target{name: name, host: host, cmd: cmd})
	for range 100 {
		conn, err := net.DialTimeout("tcp", host, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen:\n%s", name, output.String())
}

func (b *bench) startRelay(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host, err := freeAddress()
	if err != nil {
		return err
	}
	return b.start(ctx, "relay", host, exec.Command(self, "-relay", host+","+b.dsn.Host))
}

func (b *bench) startPgBouncer(ctx context.Context) error {
	host, err := freeAddress()
	if err != nil {
		return err
	}
	password, _ := b.dsn.User.Password()
	_, port, _ := net.SplitHostPort(host)
	ini := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%s user=postgres password=%s\n"+
		"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nauth_type = any\npool_mode = session\n"+
		"max_client_conn = 5000\ndefault_pool_size = 2000\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits\n",
		b.dsn.Port(), password, port)
	path := filepath.Join(b.dir, "pgbouncer.ini")
	if err := os.WriteFile(path, []byte(ini), 0o644); err != nil {
		return err
	}
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	cmd := exec.Command(program, "-q", path)
	if os.Getuid() == 0 { // it refuses to run as root
		account, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.ParseUint(account.Uid, 10, 32)
		gid, _ := strconv.ParseUint(account.Gid, 10, 32)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return b.start(ctx, "pgbouncer", host, cmd)
}

func (b *bench) startProxy(ctx context.Context) error {
	host, err := freeAddress()
	if err != nil {
		return err
	}
	program := filepath.Join(b.dir, "rowseal")
	if err := b.build(ctx, program); err != nil {
		return err
	}
	path := filepath.Join(b.dir, "rowseal.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, policy, b.dir, host, b.dsn.Host), 0o600); err != nil {
		return err
	}
	for _, args := range [][]string{{"keys", "create", filepath.Join(b.dir, "root.key")}, {"init", "-c", path}} {
		if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("rowseal %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	cmd := exec.Command(program, "proxy", "-c", path)
	if b.profile != "" {
		if b.pprof, err = freeAddress(); err != nil {
			return err
		}
		cmd.Env = append(os.Environ(), "PROXYBENCH_PPROF="+b.pprof)
	}
	return b.start(ctx, "rowseal", host, cmd)
}

// fill writes the rows through the proxy, and their twins in clear.
func (b *bench) fill(ctx context.Context) error {
	direct, err := b.connect(ctx, b.target("direct"))
	if err != nil {
		return err
	}
	defer direct.Close(ctx)
	if _, err := direct.Exec(ctx, tables).ReadAll(); err != nil {
		return err
	}
	through, err := b.connect(ctx, b.target("rowseal"))
	if err != nil {
		return err
	}
	defer through.Close(ctx)
	for table, conn := range map[string]*pgconn.PgConn{"people": through, "plain": direct} {
		if _, err := conn.CopyFrom(ctx, b.people(), "COPY "+table+" FROM STDIN"); err != nil {
			return fmt.Errorf("filling %s: %w", table, err)
		}
	}
	_, err = direct.Exec(ctx, "VACUUM ANALYZE").ReadAll()
	return err
}

// people gives the rows in COPY's text form.
func (b *bench) people() io.Reader {
	var out bytes.Buffer
	for i := range b.rows {
		fmt.Fprintf(&out, "%d\t%03d-%02d-%04d\tPerson Number %d\tRome\n", i+1, i%1000, i%100, i%10000, i)
	}
	return &out
}

func (b *bench) connect(ctx context.Context, t *target) (*pgconn.PgConn, error) {
	u := *b.dsn
	u.Host = t.host
	u.RawQuery = "sslmode=disable"
	return pgconn.Connect(ctx, u.String())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// cpu is the processor time that a process has taken.
func (t *target) cpu() (time.Duration, error) {
	if t.cmd == nil {
		return 0, nil
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat reads otherwise than expected")
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * (time.Second / ticks), nil
}

// ticks is how finely Linux counts processor time: USER_HZ.
const ticks = 100

// memory gives a line of /proc/PID/status in MB, such as VmRSS or VmHWM.
func (t *target) memory(line string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s", line)
}
