package rotate

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rowseal/rowseal/internal/guard"
)

// fillsSQL tells the trigger of a column in transition that what this transaction writes is no news: it fills one column
// from the other, or empties the plain one.
const fillsSQL = "SET LOCAL rowseal.fills = 'on'"

// The triggers look at the row that is written and at nothing else. So their functions run with the rights of whoever
// writes, need none, and are safe to be owned by the table's owner. Rows are compared by their images (*<>), which
// knows every type, and tells 1.0 from 1.00 and text from text that a collation takes for equal.
const (
	// movingFunctionSQL has a plain value that was changed by who knows nothing of the sealed one take its place:
	// the sealed value, which readers would take, is of the old one.
	movingFunctionSQL = `CREATE OR REPLACE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $rowseal$
BEGIN
  IF ROW(OLD.%[2]s)::record OPERATOR(pg_catalog.*<>) ROW(NEW.%[2]s)::record AND ROW(OLD.%[3]s)::record OPERATOR(pg_catalog.*=) ROW(NEW.%[3]s)::record
     AND pg_catalog.current_setting('rowseal.fills', true) IS DISTINCT FROM 'on' THEN
    NEW.%[3]s := NULL;
  END IF;
  RETURN NEW;
END $rowseal$`

	// movedFunctionSQL keeps clear values out of the old plain column, where an INSERT without a column list would put
	// them, and empties it in rows whose sealed value is changed: there it is out of date.
	movedFunctionSQL = `CREATE OR REPLACE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $rowseal$
BEGIN
  IF NEW.%[3]s IS NOT NULL THEN
    IF TG_OP = 'INSERT' OR ROW(OLD.%[3]s)::record OPERATOR(pg_catalog.*<>) ROW(NEW.%[3]s)::record THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = %[4]s, HINT = 'The column was sealed and moved. Name the columns that are inserted.';
    END IF;
    IF ROW(OLD.%[2]s)::record OPERATOR(pg_catalog.*<>) ROW(NEW.%[2]s)::record THEN
      NEW.%[3]s := NULL;
    END IF;
  END IF;
  RETURN NEW;
END $rowseal$`
)

// function is the name of a trigger's function, in schema rowseal.
func (m *Move) function(c *catalog, kind string) string {
	sum := sha256.Sum256([]byte(c.schema + "\x00" + c.name))
	return fmt.Sprintf("rowseal.%s", quote(strings.TrimPrefix(fmt.Sprintf("%s_%x", m.made(kind), sum[:4]), guard.Moving)))
}

// movingTrigger has the statements that make the trigger, where it is not there as it has to be: somebody may have
// switched it off, for replication or for good, or have given it another function.
func (m *Move) movingTrigger(c *catalog) []string {
	f, name := m.function(c, "moving"), m.trigger("moving")
	text := fmt.Sprintf(movingFunctionSQL, f, quote(m.plain), quote(m.sealed))
	ours := m.triggersOf(c, "moving")
	if len(ours) == 1 && ours[0].enabled == "A" && ours[0].everyUpdate && ours[0].function == unquoted(f) && ours[0].body == bodyOf(text) {
		return nil
	}
	all := []string{text}
	for _, t := range ours {
		all = append(all, fmt.Sprintf("DROP TRIGGER %s ON %s", quote(t.name), c.table()))
	}
	return append(all, c.fires(name, "UPDATE", f)...)
}

// triggersOf are the table's triggers that call the move's function, whatever their names (which were others once), or
// have the name that is to.
func (m *Move) triggersOf(c *catalog, kind string) (all []catalogTrigger) {
	name, f := m.trigger(kind), unquoted(m.function(c, kind))
	for _, t := range c.triggers {
		if t.name == name || t.function == f {
			all = append(all, t)
		}
	}
	return all
}

// unquoted is a name as quote_ident writes it that needs no quotes.
func unquoted(name string) string { return strings.ReplaceAll(name, `"`, "") }

// bodyOf is what stands in a function's statement between the marks of its text.
func bodyOf(statement string) string {
	const mark = "$rowseal$"
	_, rest, _ := strings.Cut(statement, mark)
	return strings.TrimSuffix(rest, mark)
}

// movedTrigger makes the one that guards the old plain column.
func (m *Move) movedTrigger(c *catalog) []string {
	f := m.function(c, "moved")
	message := fmt.Sprintf("column %s of table %s takes no values any more", m.old, c.name)
	return append([]string{fmt.Sprintf(movedFunctionSQL, f, quote(m.plain), quote(m.old), literal(message))},
		c.fires(m.trigger("moved"), "INSERT OR UPDATE", f)...)
}

// fires has a trigger call f for every row, whoever writes it: replication and jobs that skip triggers too.
func (c *catalog) fires(name, on, f string) []string {
	return []string{
		"REVOKE ALL ON FUNCTION " + f + "() FROM PUBLIC",
		fmt.Sprintf("CREATE TRIGGER %s BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION %s()", quote(name), on, c.table(), f),
		c.alter() + "ENABLE ALWAYS TRIGGER " + quote(name),
	}
}

// dropTrigger takes a trigger and its function away, where they are.
func (m *Move) dropTrigger(c *catalog, kind string) (all []string) {
	for _, t := range m.triggersOf(c, kind) {
		all = append(all, fmt.Sprintf("DROP TRIGGER %s ON %s", quote(t.name), c.table()))
	}
	if len(all) > 0 {
		all = append(all, "DROP FUNCTION IF EXISTS "+m.function(c, kind)+"()")
	}
	return all
}

// literal quotes a text.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
