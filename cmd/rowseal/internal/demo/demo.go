// Package demo shows Rowseal at work: a PostgreSQL of its own, a table sealed
// through GORM, its keys rotated, and what does not open. It leaves nothing
// behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rowseal/rowseal/internal/localpg"
	"github.com/rowseal/rowseal/rotate"
)

// Config says how to run the demonstration.
type Config struct {
	// People is how many there are; 0 means 10,000.
	People int
	// Dir is where the temporary folder is made; "" is os.TempDir().
	Dir string
	// Out takes the demonstration's text, at most 80 columns wide; required.
	Out io.Writer
	// Meter, if set, shows how far a job is.
	Meter func(name string) Meter
}

// Meter shows how far a job is. Finish is called when it ended.
type Meter interface {
	Update(rotate.Progress)
	Finish()
}

// DefaultPeople is how many people there are if Config does not say.
const DefaultPeople = 10_000

func (c *Config) validate() error {
	switch {
	case c.Out == nil:
		return errors.New("demo: Config.Out is nil")
	case c.People < 0:
		return errors.New("demo: Config.People must not be negative")
	}
	if c.People == 0 {
		c.People = DefaultPeople
	}
	return nil
}

// Run runs the demonstration. Whether it ends well, fails or is canceled, the
// server and all files are gone when it returns. Its error says what did not
// turn out as it should.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.validate(); err != nil {
		return err
	}
	start := time.Now()
	d := &demo{cfg: cfg, page: page{out: cfg.Out}}
	if d.dir, err = os.MkdirTemp(cfg.Dir, "rowseal-demo-"); err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	d.page.line("Rowseal seals single columns before they reach the database, and opens them")
	d.page.line("on the way back. This runs on a PostgreSQL and a key file of its own.")
	d.page.section("A server, a key file, a key store")
	began := time.Now()
	server, err := localpg.Start(ctx, localpg.Config{Dir: cfg.Dir})
	if errors.Is(err, localpg.ErrNoBinaries) {
		return fmt.Errorf("%w; the demonstration runs a server of its own: install PostgreSQL (apt install postgresql)", err)
	}
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, server.Stop())
		if err == nil {
			d.page.line("")
			d.page.line("Done in %s. The server and all files of this demonstration are gone.", short(time.Since(start)))
		}
	}()
	d.page.line("%v, started in %s", server, short(time.Since(began)))
	return d.play(ctx, server.DSN("postgres"))
}

// play is the demonstration on a running server.
func (d *demo) play(ctx context.Context, dsn string) (err error) {
	if err := d.open(ctx, dsn); err != nil {
		return errors.Join(err, d.close())
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, act := range []func(context.Context) error{
		d.seal, d.look, d.rotateRoot, d.rotateTenants, d.reopen, d.misplace,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}
