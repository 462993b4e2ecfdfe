package relay

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rowseal/rowseal/sqlproxy/internal/catalog"
	"github.com/rowseal/rowseal/sqlproxy/internal/parse"
	"github.com/rowseal/rowseal/sqlproxy/internal/pgtext"
	"github.com/rowseal/rowseal/sqlproxy/internal/sealing"
)

// view is what the session knew of the server at one moment. It does not change.
type view struct {
	rules    *rules
	snapshot *catalog.Snapshot
	path     []string
	pathKey  string
	// values seals and opens with the session's settings and tenant.
	values *sealing.Session
	// noBackslash is set where standard_conforming_strings is off.
	noBackslash bool
	// nullEquals is set where transform_null_equals is on.
	nullEquals bool
	// encoding is the client's where texts in it are not read, because they are not in UTF-8; else "". coding says what
	// they are in.
	encoding string
	coding   parse.Coding
}

// same reports whether a text means under v what it meant under o.
func (v *view) same(o *view) bool {
	return v == o || v != nil && o != nil && v.rules == o.rules && v.snapshot == o.snapshot && v.pathKey == o.pathKey &&
		(v.values.Tenant == "") == (o.values.Tenant == "") && v.noBackslash == o.noBackslash && v.nullEquals == o.nullEquals && v.coding == o.coding
}

// known says whether something that was asked is still so.
type known struct {
	fresh bool
	// dirty is set where the transaction's end may change it.
	dirty bool
	// moved is set by every change; see clientSide.coding.
	moved bool
	// ends is how many transactions had ended when it was asked.
	ends int64
}

// change notes that a statement may change it.
func (k *known) change() { k.fresh, k.dirty, k.moved = false, true, true }

// settled says that it was asked now. In no transaction it stays so.
func (k *known) settled(c *clientSide) {
	k.fresh = true
	k.ends = c.s.ends.Load()
	if !c.piped && c.s.status.Load() == 'I' {
		k.dirty = false
	}
}

// holds reports whether it is still so: nothing has changed it and, if that
// was within a transaction, it is the same one.
func (k *known) holds(c *clientSide) bool {
	return k.fresh && (!k.dirty || c.s.queue.quiet() && k.ends == c.s.ends.Load())
}

// note takes note of what a text that is sent may change.
func (c *clientSide) note(e parse.Effects) {
	if e&(parse.Settings|parse.SettingsAtEnd|parse.Discards) != 0 {
		c.settings.change()
	}
	if e&(parse.Catalog|parse.TempCatalog|parse.Discards) != 0 {
		c.catalog.change()
		// ALTER and DROP do not say whether what they name is temporary.
		c.temporary = true
	}
	if e&parse.Ends != 0 {
		c.settings.fresh = c.settings.fresh && !c.settings.dirty
		c.catalog.fresh = c.catalog.fresh && !c.catalog.dirty
	}
}

// ran takes note that a statement was sent whose text does not say what the database's own code, such
// as a trigger's, changes when it runs.
func (c *clientSide) ran() {
	if c.snapshot == nil {
		return
	}
	code := c.snapshot.Code()
	if code&parse.Settings != 0 {
		c.settings.change()
	}
	if code&parse.TempCatalog != 0 && c.ownCatalog {
		c.note(parse.TempCatalog)
	}
}

// current brings what the session knows up to date and gives it.
func (c *clientSide) current() (*view, error) {
	if err := c.currentCatalog(); err != nil {
		return nil, err
	}
	// What search_path amounts to depends on the catalog.
	if c.view != nil && c.settings.holds(c) && c.view.snapshot == c.snapshot && c.view.rules == c.rules && time.Since(start) < c.viewUntil {
		return c.view, nil
	}
	until := time.Since(start) + freshFor
	v, err := c.askSettings()
	if err != nil {
		return nil, err
	}
	c.settings.settled(c)
	c.view, c.viewUntil = v, until
	return v, nil
}

// follow takes over rules that were replaced.
func (c *clientSide) follow() {
	r := c.s.cfg.Shared.rules.Load()
	if c.s.moved.Load() && c.s.moved.Swap(false) && c.database != nil {
		c.note(parse.Settings | parse.TempCatalog)
		c.database.stale()
	}
	if r == c.rules {
		return
	}
	// What was prepared under a policy stays changed at the server.
	c.looks = c.looks || r.sealed
	c.rules = r
	c.database = r.databaseOf(c.s)
	c.snapshot, c.print = nil, ""
	c.catalog.fresh = false
}

// currentCatalog brings the snapshot up to date.
func (c *clientSide) currentCatalog() error {
	if c.snapshot != nil && c.catalog.holds(c) && c.database.fresh() {
		if own := c.ownCatalog || c.catalog.dirty; own {
			return nil
		}
		if shared, print := c.database.get(); shared != nil {
			c.snapshot, c.print = shared, print
			return nil
		}
	}
	return c.askCatalog()
}

// askCatalog asks whether the catalog has changed, and loads it where it has.
func (c *clientSide) askCatalog() error {
	if err := c.meetBackend(); err != nil {
		return err
	}
	before := c.database.until.Load()
	rows, err := c.Query(c.s.ctx, c.engine().fingerprint)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) == 0 {
		return errors.New("the catalog's fingerprint has no row")
	}
	print := string(rows[0][0])
	old, err := c.seesPast()
	if err != nil {
		return err
	}
	hadOwn := c.ownCatalog
	if err := c.askTemporary(); err != nil {
		return err
	}
	own := old || c.ownCatalog || c.catalog.dirty && (c.piped || c.s.status.Load() != 'I')
	shared, sharedPrint := c.database.get()
	switch {
	case c.snapshot != nil && c.print == print && !(c.temporary && (c.ownCatalog || hadOwn)):
	case !own && shared != nil && sharedPrint == print:
		c.snapshot = shared
	default:
		if c.snapshot, err = c.engine().load(c.s.ctx, c, c.rules.policy); err != nil {
			c.snapshot = nil
			return err
		}
		if c.snapshot.Temporary() {
			// What a function made is in it too: nobody else may get it.
			c.ownCatalog, own = true, true
		}
	}
	c.print = print
	c.catalog.settled(c)
	c.temporary = c.temporary && c.catalog.dirty
	if old {
		return nil
	}
	if own {
		c.database.until.CompareAndSwap(before, int64(time.Since(start)+freshFor))
	} else {
		c.database.put(c.snapshot, print, before)
	}
	return nil
}

// seesPast reports whether the session's transaction sees the catalog as it was when it began, which says nothing to
// other sessions.
func (c *clientSide) seesPast() (bool, error) {
	if !c.piped && c.s.status.Load() == 'I' {
		return false, nil
	}
	rows, err := c.Query(c.s.ctx, "SELECT pg_catalog.current_setting('transaction_isolation')")
	if err != nil {
		return false, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return false, errors.New("the isolation of the transaction has no row")
	}
	level := string(rows[0][0])
	return level != "read committed" && level != "read uncommitted", nil
}

// askTemporary asks whether the session has temporary tables, where it may have made some.
func (c *clientSide) askTemporary() error {
	if !c.temporary {
		return nil
	}
	rows, err := c.Query(c.s.ctx, "SELECT pg_catalog.pg_my_temp_schema()")
	if err != nil {
		return err
	}
	c.ownCatalog = len(rows) != 1 || len(rows[0]) != 1 || string(rows[0][0]) != "0"
	return nil
}

// settingsText asks for names in their own bytes, which not every encoding of clients has: they are looked up among
// those of the catalog.
const settingsText = `SELECT pg_catalog.encode(pg_catalog.convert_to(pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text, e.e), 'hex'), ` +
	`pg_catalog.encode(pg_catalog.convert_to(pg_catalog.current_setting('rowseal.tenant', true), e.e), 'hex'), pg_catalog.current_setting('DateStyle'), ` +
	`pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('IntervalStyle'), ` +
	`pg_catalog.current_setting('bytea_output'), pg_catalog.current_setting('extra_float_digits'), ` +
	`pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('client_encoding'), ` +
	`pg_catalog.current_setting('array_nulls'), pg_catalog.current_setting('transform_null_equals'), pg_catalog.pg_backend_pid()`

// ownSettings is how many columns that has.
const ownSettings = 12

// askSettings asks for the settings that statements and values depend on.
func (c *clientSide) askSettings() (*view, error) {
	names := c.confirmWith()
	// The server converts nothing to SQL_ASCII, and cannot convert what it has as that.
	const from = ` FROM (SELECT CASE WHEN pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.=) 'SQL_ASCII'::pg_catalog.text ` +
		`THEN 'SQL_ASCII'::pg_catalog.name ELSE 'UTF8'::pg_catalog.name END AS e) AS e`
	rows, err := c.Query(c.s.ctx, settingsText+names+from)
	if err != nil {
		return nil, err
	}
	if len(rows) != 1 || len(rows[0]) < ownSettings {
		return nil, errors.New("the settings have not the expected columns")
	}
	if names != "" && len(rows[0]) == ownSettings+1 {
		has := map[string]string{}
		if err := json.Unmarshal(rows[0][ownSettings], &has); err != nil && rows[0][ownSettings] != nil {
			return nil, fmt.Errorf("the names of statements are not understood: %w", err)
		}
		c.confirmBy(has)
	}
	if err := c.stillHere(rows[0][ownSettings-1]); err != nil {
		return nil, err
	}
	return c.makeView(rows[0])
}

// makeView makes a view of the answer to settingsText.
func (c *clientSide) makeView(row [][]byte) (*view, error) {
	var is [ownSettings]string
	for i, v := range row[:ownSettings] {
		is[i] = string(v)
	}
	path, err := hex.DecodeString(is[0])
	if err != nil {
		return nil, fmt.Errorf("the search_path is not understood: %w", err)
	}
	tenant, err := hex.DecodeString(is[1])
	if err != nil {
		return nil, fmt.Errorf("the tenant is not understood: %w", err)
	}
	v := &view{rules: c.rules, snapshot: c.snapshot, pathKey: is[0], noBackslash: is[7] != "on", nullEquals: is[10] != "off", coding: c.snapshot.Coding(is[8])}
	if err := json.Unmarshal(path, &v.path); err != nil {
		return nil, fmt.Errorf("the search_path is not understood: %w", err)
	}
	settings, err := pgtext.Parse(is[2], is[3], is[4], is[5], is[6])
	if err != nil {
		return nil, err
	}
	if is[9] != "on" {
		settings = settings.NullsAreText()
	}
	if v.coding != parse.UTF8 {
		v.encoding = is[8]
	}
	if c.s.cfg.Tenant != "" {
		tenant = []byte(c.s.cfg.Tenant)
	}
	v.values = &sealing.Session{Cipher: c.rules.cipher, Settings: settings, Tenant: string(tenant)}
	return v, nil
}
