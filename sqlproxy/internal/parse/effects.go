package parse

// Effects are bits that say what a text may change of what the session knows.
type Effects uint16

const (
	// Settings: search_path, rowseal.tenant or another setting may have changed
	// (SET, RESET, set_config, DISCARD, a function that is not PostgreSQL's own).
	Settings Effects = 1 << iota
	// SettingsAtEnd: they may change when the transaction ends (SET LOCAL).
	SettingsAtEnd
	// Catalog: tables, views, types or functions may have changed.
	Catalog
	// TempCatalog: so may temporary ones, which only this session sees.
	TempCatalog
	// Begins and Ends: the text holds a statement that begins, or ends, a
	// transaction or goes back to a savepoint.
	Begins
	Ends
	// Discards: prepared statements are gone (DISCARD ALL, DEALLOCATE ALL).
	Discards
)

