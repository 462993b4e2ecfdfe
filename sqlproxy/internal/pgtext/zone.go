package pgtext

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // for machines without a time zone database, such as bare containers
)

// zone is a session's TimeZone.
type zone struct {
	// name is as the server shows it.
	name string
	loc  *time.Location
	// utc is set where every offset is 0 and written so.
	utc bool
}

func utcZone() zone { return zone{name: "UTC", loc: time.UTC, utc: true} }

// parseZoneSetting reads what SHOW TimeZone gives: a name of the time zone
// database or a POSIX specification without daylight saving time.
//
// "localtime" and "posixrules" are files of the server's machine, and a
// specification with daylight saving but without rules takes them from there,
// so they are refused.
func parseZoneSetting(name string) (zone, error) {
	switch name {
	case "UTC", "Etc/UTC":
		z := utcZone()
		z.name = name
		return z, nil
	case "", "Local", "localtime", "posixrules":
		return zone{}, unknownZone(name)
	}
	if z, ok := posixZone(name); ok {
		return z, nil
	}
	if strings.HasPrefix(name, "right/") || strings.Contains(name, "//") || strings.ContainsAny(name, "<>,") {
		return zone{}, unknownZone(name)
	}
	return loadZone(name)
}

// loaded holds zones by name, so that sessions share them. It cannot outgrow the time zone database.
var loaded sync.Map

func loadZone(name string) (zone, error) {
	if z, ok := loaded.Load(name); ok {
		return z.(zone), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return zone{}, unknownZone(name)
	}
	z, _ := loaded.LoadOrStore(name, zone{name: name, loc: loc})
	return z.(zone), nil
}

func unknownZone(name string) error {
	return fmt.Errorf("TimeZone %q cannot be followed here; set one of the time zone database's names, such as Europe/Berlin, or a fixed offset, such as <+03>-03", name)
}

// posixSpec is a POSIX TZ without daylight saving: an abbreviation of at least three letters, or of
// letters, digits, signs and colons in angle brackets, and how far the zone is west of UTC.
var posixSpec = regexp.MustCompile(`^(?:([A-Za-z]{3,})|<([A-Za-z0-9+:-]{3,})>)([+-]?)(\d{1,3})(?::(\d{1,2}))?(?::(\d{1,2}))?$`)

func posixZone(name string) (zone, bool) {
	m := posixSpec.FindStringSubmatch(name)
	if m == nil {
		return zone{}, false
	}
	west := 0
	for i, limit := range [...]int{24, 59, 59} {
		n, _ := strconv.Atoi(m[4+i]) // digits, or nothing for 0
		if n > limit {
			return zone{}, false
		}
		west = west*60 + n
	}
	if m[3] == "-" {
		west = -west
	}
	return zone{name: name, loc: time.FixedZone(m[1]+m[2], -west)}, true
}

// at gives the abbreviation in force at a moment, and the seconds east of UTC.
func (z *zone) at(unix int64) (name string, offset int64) {
	if z.utc {
		return "UTC", 0
	}
	name, east := time.Unix(unix, 0).In(z.loc).Zone()
	return name, int64(east)
}

const secondsPerDay = 86400

// localOffset gives the seconds east of UTC that the server takes for what a
// clock on the wall shows, given as if it were UTC. Where the clock shows a time twice or never, it
// is the server's choice: before a leap forward, after a step back.
func (z *zone) localOffset(local int64) int64 {
	if z.utc {
		return 0
	}
	// Offsets are less than a day, and changes are further apart than two.
	day := time.Unix(local-secondsPerDay, 0).In(z.loc)
	_, east := day.Zone()
	before := int64(east)
	_, change := day.ZoneBounds()
	if change.IsZero() {
		return before
	}
	_, east = change.Zone()
	after := int64(east)
	ifBefore, ifAfter, at := local-before, local-after, change.Unix()
	switch {
	case ifBefore < at && ifAfter < at:
		return before
	case ifBefore > at && ifAfter >= at:
		return after
	case ifBefore > ifAfter:
		return before
	}
	return after
}
