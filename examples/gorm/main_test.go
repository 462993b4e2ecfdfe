package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/rowseal/rowseal/codec"
	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/gormplugin"
	"github.com/rowseal/rowseal/internal/testpg"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
)

const (
	canary   = "canary"
	address  = "canary.ann@example.com"
	northKey = "north-0123456789"
	southKey = "south-0123456789"
	westKey  = "west-01234567890"
)

// running is the service as main runs it.
type running struct {
	t      *testing.T
	url    string
	addr   string
	stop   context.CancelFunc
	ended  chan error
	mu     sync.Mutex
	log    bytes.Buffer
	listen chan string
}

// Write takes the log, and learns the address from it.
func (r *running) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var said struct{ Msg, Address string }
	if json.Unmarshal(line, &said) == nil && said.Msg == "listening" {
		r.listen <- said.Address
	}
	return r.log.Write(line)
}

func start(t *testing.T, s settings) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, ended: make(chan error, 1), listen: make(chan string, 1)}
	s.listen, s.tokens = "127.0.0.1:0", "north="+northKey+",south="+southKey+",west="+westKey
	go func() { r.ended <- run(ctx, s, io.Discard, slog.New(slog.NewJSONHandler(r, nil))) }()
	t.Cleanup(stop)
	select {
	case r.addr = <-r.listen:
	case err := <-r.ended:
		t.Fatal(err)
	}
	r.url = "http://" + r.addr
	return r
}

// end stops the service and returns how it ended.
func (r *running) end() error {
	r.stop()
	return <-r.ended
}

// ask sends a request and decodes the answer into dest, if that is not nil.
func (r *running) ask(token, method, path, body string, dest any) (status int) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode >= 400 && bytes.Contains(text, []byte(canary)) {
		r.t.Errorf("%s %s: the error shows a value: %s", method, path, text)
	}
	if dest != nil {
		if err := json.Unmarshal(text, dest); err != nil {
			r.t.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
		}
	}
	return resp.StatusCode
}

func (r *running) want(status int, token, method, path, body string, dest any) {
	r.t.Helper()
	if got := r.ask(token, method, path, body, dest); got != status {
		r.t.Errorf("%s %s: %d, want %d; the log:\n%s", method, path, got, status, r.log.String())
	}
}

// lab is a database to run with, and how to read all that it stores.
type lab struct {
	settings
	stored func(t *testing.T) []byte
}

func onBoth(t *testing.T, f func(t *testing.T, l lab)) {
	t.Run("sqlite", func(t *testing.T) {
		dir := t.TempDir()
		f(t, lab{settings{db: "sqlite:" + filepath.ToSlash(dir) + "/people.db", key: dir + "/root.key"}, func(t *testing.T) []byte { return files(t, dir) }})
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := testpg.DSN(t)
		f(t, lab{settings{db: dsn, key: t.TempDir() + "/root.key"}, func(t *testing.T) []byte { return tables(t, dsn) }})
	})
}

func files(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func tables(t *testing.T, dsn string) (all []byte) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, table := range []string{"people", "rowseal.keys"} {
		rows, err := conn.Query(t.Context(), "SELECT row_to_json(t)::text FROM "+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Join(lines, "\n")...)
	}
	return all
}

func (l lab) mustHide(t *testing.T, want string) {
	t.Helper()
	all := l.stored(t)
	if !bytes.Contains(all, []byte(want)) {
		t.Fatalf("the database was not read: it lacks %q", want)
	}
	for _, plain := range []string{canary, hex.EncodeToString([]byte(canary))} {
		if bytes.Contains(all, []byte(plain)) {
			t.Errorf("the database holds %q", plain)
		}
	}
}

const ann = `{"email": "canary.Ann@Example.com", "name": "canary Ann", "notes": "canary notes"}`

func TestPeopleAreKeptFoundChangedAndRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		var made, got Person
		r.want(201, northKey, "POST", "/people", ann, &made)
		want := Person{ID: made.ID, Email: address, Name: "canary Ann", Notes: "canary notes"}
		if made != want || made.ID == 0 {
			t.Errorf("made %+v", made)
		}
		r.want(201, northKey, "POST", "/people", `{"email": "other@example.com", "name": "canary Bea"}`, nil)
		path := fmt.Sprintf("/people/%d", made.ID)
		var found []Person
		r.want(200, northKey, "GET", "/people?email=CANARY.ann@example.com", "", &found)
		if len(found) != 1 || found[0] != want {
			t.Errorf("found %+v", found)
		}
		want.Notes, want.Email = "canary changed", "canary.new@example.com"
		r.want(200, northKey, "PATCH", path, `{"notes": "canary changed", "email": "canary.new@example.com"}`, &got)
		if got != want {
			t.Errorf("changed to %+v", got)
		}
		r.want(200, northKey, "GET", "/people?email=canary.new@example.com", "", &found)
		if len(found) != 1 || found[0] != want {
			t.Errorf("found %+v by the new address", found)
		}
		r.want(200, northKey, "GET", "/people?email="+address, "", &found)
		if len(found) != 0 {
			t.Errorf("found %+v by the old address", found)
		}
		l.mustHide(t, "north")
		r.want(204, northKey, "DELETE", path, "", nil)
		r.want(404, northKey, "GET", path, "", nil)
		r.want(404, northKey, "DELETE", path, "", nil)
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(r.log.String(), `"route":"PATCH /people/{id}"`) || strings.Contains(strings.ToLower(r.log.String()), canary) {
			t.Errorf("the log:\n%s", r.log.String())
		}
	})
}

func TestATenantDoesNotReachAnothersPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		var made, own, got Person
		r.want(201, northKey, "POST", "/people", ann, &made)
		r.want(201, southKey, "POST", "/people", ann, &own)
		path := fmt.Sprintf("/people/%d", made.ID)
		r.want(404, southKey, "GET", path, "", nil)
		r.want(404, southKey, "PATCH", path, `{"name": "canary stolen"}`, nil)
		r.want(404, southKey, "DELETE", path, "", nil)
		var found []Person
		r.want(200, southKey, "GET", "/people?email="+address, "", &found)
		if len(found) != 1 || found[0] != own || own.ID == made.ID {
			t.Errorf("south found %+v", found)
		}
		r.want(409, northKey, "POST", "/people", ann, nil) // one address, one person of a tenant
		r.want(400, southKey, "POST", "/people", `{"tenant": "north", "email": "a@b.c", "name": "x"}`, nil)
		for _, token := range []string{"", "unknown", strings.ToUpper(northKey), northKey + ","} {
			r.want(401, token, "GET", path, "", nil)
			r.want(401, token, "GET", "/nowhere", "", nil)
		}
		r.want(200, northKey, "GET", path, "", &got)
		if got != made {
			t.Errorf("north has %+v, made %+v", got, made)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}

		db, err := openDatabase(t.Context(), l.settings)
		if err != nil {
			t.Fatal(err)
		}
		defer db.close()
		south := gormplugin.WithTenant(t.Context(), "south")
		if err := db.orm.WithContext(south).First(&Person{}, made.ID).Error; statusOf(err) != 404 || !errors.Is(err, field.ErrTenantMismatch) {
			t.Errorf("a query without the condition: %v", err)
		}
	})
}

func TestRequestsThatAreNotUnderstood(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		r.want(201, northKey, "POST", "/people", ann, nil)
		for name, body := range map[string]string{
			"nothing":          ``,
			"no JSON":          `canary`,
			"cut off":          `{"email": "canary@example.com", "name": "canary`,
			"two values":       `{"email": "a@example.com", "name": "x"}{}`,
			"other types":      `{"email": "a@example.com", "name": 7}`,
			"unknown field":    `{"email": "a@example.com", "name": "x", "canary": 1}`,
			"an id":            `{"id": 7, "email": "a@example.com", "name": "x"}`,
			"no e-mail":        `{"name": "canary"}`,
			"no name":          `{"email": "canary@example.com"}`,
			"no address":       `{"email": "canary", "name": "x"}`,
			"more than one":    `{"email": "Canary <canary@example.com>", "name": "x"}`,
			"not storable":     `{"email": "a@example.com", "name": "canary \u0000"}`,
			"more than 64 KiB": `{"email": "a@example.com", "name": "` + strings.Repeat("canary", maxBody/6) + `"}`,
		} {
			t.Run(name, func(t *testing.T) { r.want(400, northKey, "POST", "/people", body, nil) })
		}
		r.want(400, northKey, "GET", "/people", "", nil)
		r.want(400, northKey, "GET", "/people?email=canary", "", nil)
		r.want(400, northKey, "GET", "/people/canary", "", nil)
		r.want(400, northKey, "GET", "/people/0", "", nil)
		r.want(400, northKey, "PATCH", "/people/1", `{}`, nil)
		r.want(404, northKey, "GET", "/people/77", "", nil)
		r.want(405, northKey, "PUT", "/people/1", "", nil)
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if strings.Contains(strings.ToLower(r.log.String()), canary) {
			t.Errorf("the log:\n%s", r.log.String())
		}
	})
}

func TestWithoutItsRootKeyTheServiceMakesNoTenantKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		r.want(201, northKey, "POST", "/people", ann, nil)
		if err := os.Rename(l.key, l.key+".away"); err != nil {
			t.Fatal(err)
		}
		r.want(503, southKey, "POST", "/people", ann, nil)
		r.want(503, southKey, "GET", "/people?email="+address, "", nil)
		r.want(200, northKey, "GET", "/people?email="+address, "", nil)
		if err := os.Rename(l.key+".away", l.key); err != nil {
			t.Fatal(err)
		}
		r.want(201, westKey, "POST", "/people", ann, nil) // south's failure is remembered for a while
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutItsDatabasesTheServiceSaysSo(t *testing.T) {
	t.Run("postgres", func(t *testing.T) {
		server := testpg.Start(t, nil)
		r := start(t, settings{db: server.DSN("postgres"), key: t.TempDir() + "/root.key"})
		r.want(201, northKey, "POST", "/people", ann, nil)
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r.want(503, northKey, "GET", "/people?email="+address, "", nil)
			r.want(503, southKey, "POST", "/people", ann, nil)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("key store of sqlite", func(t *testing.T) {
		dir := t.TempDir()
		db, err := openDatabase(t.Context(), settings{db: "sqlite:" + dir + "/people.db", key: dir + "/root.key"})
		if err != nil {
			t.Fatal(err)
		}
		defer db.close()
		if err := db.store.Close(); err != nil {
			t.Fatal(err)
		}
		err = db.orm.Create(&Person{Tenant: "north", Email: address}).Error
		if statusOf(err) != 503 {
			t.Errorf("%d: %v", statusOf(err), err)
		}
	})
}

func TestARequestThatHasBegunIsAnsweredAtTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, l lab) {
		r := start(t, l.settings)
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /people HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", northKey, len(ann))
		answers := bufio.NewReader(conn)
		if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler reads
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		r.stop()
		for { // until nobody listens any more
			other, err := net.Dial("tcp", r.addr)
			if err != nil {
				break
			}
			other.Close()
		}
		fmt.Fprint(conn, ann)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := <-r.ended; resp.StatusCode != 201 || err != nil {
			t.Fatalf("%d, %v", resp.StatusCode, err)
		}
		r = start(t, l.settings)
		var found []Person
		r.want(200, northKey, "GET", "/people?email="+address, "", &found)
		if len(found) != 1 {
			t.Errorf("found %+v", found)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestStatusesAndCauses(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{gorm.ErrDuplicatedKey, 409},
		{&keyring.Error{Err: keyring.ErrStore}, 503},
		{&kms.Error{Kind: kms.ErrDenied}, 503},
		{&pgconn.PgError{Code: "57P01", Message: canary}, 503},
		{&pgconn.PgError{Code: "22P02", Message: canary}, 500},
		{&codec.Error{Op: "decode"}, 500},
		{context.DeadlineExceeded, 503},
		{&gormplugin.Error{Table: "people", Err: gormplugin.ErrCondition}, 500},
		{errors.New(canary), 500},
		{fmt.Errorf("%s; %w", canary, &gormplugin.Error{Table: "people", Err: gormplugin.ErrCondition}), 500},
	} {
		if got := statusOf(fmt.Errorf("outer: %w", c.err)); got != c.status {
			t.Errorf("%v: %d, want %d", c.err, got, c.status)
		}
		if cause := causeOf(c.err); cause == "" || strings.Contains(cause, canary) {
			t.Errorf("%v: cause %q", c.err, cause)
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	for _, list := range []string{"", "north", "north=", "north=short", "=0123456789abcdef", "north=0123456789abcdef,", "north=0123456789abcdef,south=canary"} {
		if _, err := parseTenants(list); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", list, err)
		}
	}
	known, err := parseTenants("north=0123456789abcdef==,south=fedcba9876543210")
	if err != nil || len(known) != 2 {
		t.Errorf("%v, %v", known, err)
	}
}

func TestWithoutADatabaseAllIsTemporary(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	r := start(t, settings{key: "not used"})
	r.want(201, northKey, "POST", "/people", ann, nil)
	if len(files(t, dir)) == 0 {
		t.Error("nothing is stored")
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
