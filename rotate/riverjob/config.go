package riverjob

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// DefaultSchema is the schema of River's tables where Config names none.
const DefaultSchema = "rowseal_river"

// The bounds of Config.
const (
	defaultTurn   = 2 * time.Second
	defaultRescue = 30 * time.Second
	minRescue     = 5 * time.Second
	maxRanges     = 4096
	rangesAtLeast = 32 // machines may join later
	rangesPerOwn  = 8
)

// Config says what a Runner works with.
type Config struct {
	// Rotate is what jobs run with, as for [rotate.Run]; its database is a PostgreSQL. Workers is how many ranges this process walks at
	// a time.
	Rotate rotate.Config
	// Pool is for River's own tables; required. It takes one connection or two for a moment at a time, and must not be the pool that Rotate.DB
	// takes its connections from, which may keep them all. Poolers in transaction mode may stand between.
	Pool *pgxpool.Pool
	// Schema is that of River's tables, which no application's jobs may share; "" means DefaultSchema.
	Schema string
	// Policy has the tables that jobs may be about; required.
	Policy *field.Policy
	// Ranges is in how many ranges a table is parted, 1 to 4,096; 0 means 8 for each of Workers, and at least 32. Small tables
	// have fewer.
	Ranges int
	// Turn is for how long a range is walked before others have a turn; 0 means 2 seconds. Within it orders are heard.
	Turn time.Duration
	// Rescue is after what time a job of River's that was not heard of is given to another worker, 5 seconds at the least; 0 means 30
	// seconds. River looks every 30 seconds.
	Rescue time.Duration
	// By is who retires keys, for their records; "" means "rotate".
	By string
}

func (c *Config) validate() error {
	switch {
	case c.Pool == nil || c.Policy == nil:
		return errors.New("riverjob: Config needs Pool and Policy")
	case c.Rotate.Dialect != rotate.PostgreSQL:
		return fmt.Errorf("riverjob: River works with PostgreSQL; the tables are in %v, where one process can do jobs", c.Rotate.Dialect)
	case c.Ranges < 0 || c.Ranges > maxRanges:
		return fmt.Errorf("riverjob: Ranges is %d; 1 to %d is allowed, 0 for as many as fit", c.Ranges, maxRanges)
	case c.Turn < 0 || c.Rescue < 0 || c.Rescue != 0 && c.Rescue < minRescue:
		return fmt.Errorf("riverjob: Turn is %v, Rescue is %v; they are above 0, Rescue %v at the least; 0 means %v and %v",
			c.Turn, c.Rescue, minRescue, defaultTurn, defaultRescue)
	}
	if c.Rescue == 0 {
		c.Rescue = defaultRescue
	}
	if c.Turn == 0 {
		c.Turn = min(defaultTurn, c.Rescue/4)
	}
	if c.Turn > c.Rescue/2 {
		return fmt.Errorf("riverjob: Turn is %v; it is half of Rescue, %v, at the most, or ranges that are walked would be taken for dead", c.Turn, c.Rescue)
	}
	if c.Schema == "" {
		c.Schema = DefaultSchema
	}
	if c.By == "" {
		c.By = "rotate"
	}
	c.Rotate.Workers = max(c.Rotate.Workers, 1)
	if c.Ranges == 0 {
		c.Ranges = min(max(rangesAtLeast, rangesPerOwn*c.Rotate.Workers), maxRanges)
	}
	if c.Rotate.Log == nil {
		c.Rotate.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
