package pgtext

import (
	"fmt"
	"strconv"
	"strings"
)

// Settings are those of a session that decide how values are written as text.
// They do not change and may be shared. The zero value is invalid; see
// [Defaults] and [Parse].
type Settings struct {
	style       dateStyle
	order       dateOrder
	zone        zone
	interval    intervalStyle
	escape      bool // bytea_output
	floatDigits int
	// nullsAreText is set where array_nulls is off.
	nullsAreText bool
}

type dateStyle byte

const (
	styleISO dateStyle = iota
	styleSQL
	stylePostgres
	styleGerman
)

type dateOrder byte

const (
	orderMDY dateOrder = iota
	orderDMY
	orderYMD
)

type intervalStyle byte

const (
	intervalPostgres intervalStyle = iota
	intervalVerbose
	intervalSQL
	intervalISO
)

// The words of settings, as SHOW gives them, in lower case.
var (
	dateStyles     = map[string]dateStyle{"iso": styleISO, "sql": styleSQL, "postgres": stylePostgres, "german": styleGerman}
	dateOrders     = map[string]dateOrder{"mdy": orderMDY, "dmy": orderDMY, "ymd": orderYMD}
	intervalStyles = map[string]intervalStyle{
		"postgres": intervalPostgres, "postgres_verbose": intervalVerbose, "sql_standard": intervalSQL, "iso_8601": intervalISO,
	}
	byteaOutputs = map[string]bool{"hex": false, "escape": true}
)

// Defaults are the settings of a server that nobody has changed, in UTC: ISO, MDY; postgres; hex; 1.
func Defaults() *Settings {
	return &Settings{zone: utcZone(), floatDigits: 1}
}

// Parse makes Settings of the server's words, as SHOW gives them: "ISO, MDY",
// "Europe/Berlin", "postgres", "hex", "1". An error names the setting and its
// value, which are no secrets: a zone that Go's time zone database does not
// know, or words of a newer server.
func Parse(dateStyle, timeZone, intervalStyle, byteaOutput, extraFloatDigits string) (*Settings, error) {
	s := &Settings{}
	style, order, _ := strings.Cut(dateStyle, ",")
	var err error
	if s.style, err = word(dateStyles, "DateStyle", style); err != nil {
		return nil, err
	}
	if s.order, err = word(dateOrders, "DateStyle", order); err != nil {
		return nil, err
	}
	if s.interval, err = word(intervalStyles, "IntervalStyle", intervalStyle); err != nil {
		return nil, err
	}
	if s.escape, err = word(byteaOutputs, "bytea_output", byteaOutput); err != nil {
		return nil, err
	}
	if s.floatDigits, err = strconv.Atoi(extraFloatDigits); err != nil || s.floatDigits < -15 || s.floatDigits > 3 {
		return nil, fmt.Errorf("extra_float_digits %q is not known; it is -15 to 3", extraFloatDigits)
	}
	if s.zone, err = parseZoneSetting(timeZone); err != nil {
		return nil, err
	}
	return s, nil
}

// NullsAreText gives the settings of a session whose array_nulls is off: an array's word NULL is a text to the server
// there, so that such arrays are refused.
func (s *Settings) NullsAreText() *Settings {
	other := *s
	other.nullsAreText = true
	return &other
}

func word[V any](words map[string]V, setting, value string) (V, error) {
	v, ok := words[strings.ToLower(strings.TrimSpace(value))]
	if !ok {
		return v, fmt.Errorf("%s has the word %q, which is not known", setting, value)
	}
	return v, nil
}
