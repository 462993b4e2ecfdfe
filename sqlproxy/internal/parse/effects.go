package parse

// Effects are bits that say what a text may change of what the session knows.
type Effects uint16

const (
	// Settings: search_path, rowseal.tenant or another setting may have changed
	// (SET, RESET, set_config, DISCARD, a function that is not PostgreSQL's own), or
	// what they amount to (a schema that search_path names was made).
	Settings Effects = 1 << iota
	// SettingsAtEnd: they may change when the transaction ends (SET LOCAL).
	SettingsAtEnd
	// Catalog: tables, views, types or functions may have changed.
	Catalog
	// TempCatalog: so may temporary ones, which only this session sees. They may
	// change once more when the transaction ends (ON COMMIT DROP, ROLLBACK), as what Catalog is about
	// does with ROLLBACK.
	TempCatalog
	// Begins: the text holds a statement that begins a transaction.
	Begins
	// Ends: the text holds one that ends a transaction or goes back to a savepoint.
	Ends
	// Discards: prepared statements are gone (DISCARD ALL, DEALLOCATE ALL).
	Discards
	// Closes: so are cursors and portals (DISCARD ALL).
	Closes
)

// anything is what code that is not read may change.
const anything = Settings | SettingsAtEnd | Catalog | TempCatalog

// verb is a word that a statement may begin with, as far as it matters here.
type verb byte

const (
	verbNone    verb = iota // nothing came yet
	verbOther               // of no effect
	verbExplain             // the verb comes later
	verbSet
	verbDiscard
	verbDeallocate
	verbPrepare
	verbCommit // COMMIT, ROLLBACK and their kin
	verbDDL    // CREATE, ALTER, DROP
	verbCode   // DO, CALL
	verbQuery  // those that may have INTO
)

// statement is what the scan knows of the statement that it is in.
type statement struct {
	verb  verb
	words int // that came behind the verb
	// inserts is set behind INSERT and MERGE, whose INTO makes no table.
	inserts bool
}

// word takes the next word that is not quoted.
func (s *statement) word(w *Words, word []byte) {
	switch s.verb {
	case verbNone:
		s.begin(w, word)
		return
	case verbExplain:
		s.explained(w, word)
		return
	}
	s.words++
	switch string(word) {
	case "insert", "merge":
		s.inserts = true
		return
	case "into":
		if s.verb == verbQuery && !s.inserts {
			w.Effects |= Catalog | TempCatalog | Settings
		}
	case "execute":
		// CREATE TABLE … AS EXECUTE
		w.Names = w.Names || s.verb == verbDDL
	}
	s.inserts = false
	if s.words <= 2 {
		s.second(w, word)
	}
}

// begin takes a statement's first word.
func (s *statement) begin(w *Words, word []byte) {
	s.verb = verbOther
	switch string(word) {
	case "select", "with", "values", "table":
		s.verb = verbQuery
	case "insert", "merge":
		s.inserts = true
	case "explain":
		s.verb = verbExplain
	case "set":
		s.verb = verbSet
		w.Effects |= Settings
	case "reset", "load", "grant", "revoke":
		w.Effects |= Settings
	case "discard":
		s.verb = verbDiscard
		w.Effects |= Settings | TempCatalog
	case "begin", "start":
		w.Effects |= Begins
	case "commit", "end", "rollback", "abort":
		s.verb = verbCommit
		w.Effects |= Ends
	case "prepare":
		s.verb = verbPrepare
		w.Names = true
	case "execute", "fetch", "move":
		// What was prepared or declared may call set_config.
		w.Names = true
		w.Effects |= Settings | SettingsAtEnd
	case "deallocate":
		s.verb = verbDeallocate
		w.Names = true
	case "declare", "close", "copy":
		w.Names = true
	case "create":
		s.verb = verbDDL
		w.Effects |= Settings | Catalog | TempCatalog
	case "alter", "drop":
		s.verb = verbDDL
		w.Effects |= Settings | Catalog
	case "import":
		w.Effects |= Catalog
	case "do", "call":
		s.verb = verbCode
		w.Effects |= anything
	}
}

// explained looks for the verb of what EXPLAIN explains, past its options.
func (s *statement) explained(w *Words, word []byte) {
	switch string(word) {
	case "select", "with", "values", "table", "insert", "merge", "update", "delete",
		"create", "execute", "declare", "refresh":
		s.begin(w, word)
	}
}

// second takes the words that tell kinds of one verb apart.
func (s *statement) second(w *Words, word []byte) {
	switch s.verb {
	case verbSet:
		if s.words == 1 && string(word) == "local" {
			w.Effects |= SettingsAtEnd
		}
	case verbDiscard, verbDeallocate:
		if string(word) == "all" {
			w.Effects |= Discards
			if s.verb == verbDiscard {
				w.Effects |= Closes
			}
		}
	case verbPrepare:
		if s.words == 1 && string(word) == "transaction" {
			w.Effects |= Ends
		}
	case verbCommit:
		if string(word) == "chain" || string(word) == "and" {
			w.Effects |= Begins
		}
	}
}

// quoted takes a name in quotes, which is no keyword but may be what a verb's second word would be.
func (s *statement) quoted() {
	if s.verb != verbNone && s.verb != verbExplain {
		s.words++
		s.inserts = false
	}
}
