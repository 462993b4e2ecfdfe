package rotate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The options that jobs get from us. They say for what the job was begun, not what is asked for.
const (
	policyOption = "policy"
	keysOption   = "keys"
	movesOption  = "moves " // and the column's name
	// workersOption says that a queue hands out the ranges, which is no other work.
	workersOption = "workers"
)

// jobSpec is what a job is about, as the journal has it.
type jobSpec struct {
	Columns []string          `json:"columns,omitempty"`
	Tenant  string            `json:"tenant,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

func specOf(text string) (s jobSpec, err error) {
	return s, json.Unmarshal([]byte(text), &s)
}

// asked are the options that the job was asked for with.
func (s *jobSpec) asked() map[string]string {
	options := maps.Clone(s.Options)
	maps.DeleteFunc(options, func(name, _ string) bool {
		return name == policyOption || name == keysOption || strings.HasPrefix(name, movesOption)
	})
	return options
}

// covers says that a job does all that another one has to do, were both begun now.
func (s *jobSpec) covers(other *jobSpec) bool {
	if s.Tenant != "" && s.Tenant != other.Tenant {
		return false
	}
	for _, c := range other.Columns {
		if len(s.Columns) > 0 && !slices.Contains(s.Columns, c) {
			return false
		}
	}
	if len(s.Columns) > 0 && len(other.Columns) == 0 {
		return false
	}
	mine, others := s.asked(), other.asked()
	delete(mine, workersOption)
	delete(others, workersOption)
	return maps.Equal(mine, others)
}

// moved are the columns that a backfill reads and writes.
func (s *jobSpec) moved() (columns []string) {
	for name, value := range s.Options {
		if sealed, ok := strings.CutPrefix(name, movesOption); ok {
			_, plain, _ := strings.Cut(value, " ")
			columns = append(columns, sealed, plain)
		}
	}
	slices.Sort(columns)
	return columns
}

// changed says in what a job that is begun now differs from one that was begun before; "" where in nothing that we gave it.
func (s *jobSpec) changed(now *jobSpec) string {
	var all []string
	if was, is := s.Options[keysOption], now.Options[keysOption]; was != is {
		wasCount, wasRoot, _ := strings.Cut(was, " ")
		isCount, isRoot, _ := strings.Cut(is, " ")
		if wasCount != isCount {
			all = append(all, "tenants' keys were rotated since it began")
		}
		if wasRoot != isRoot {
			all = append(all, fmt.Sprintf("the root key is %s now, and was %s", orElse(isRoot, "none"), orElse(wasRoot, "none")))
		}
	}
	if was, is := s.Options[schemaOption], now.Options[schemaOption]; was != is {
		all = append(all, fmt.Sprintf("its table is in schema %s, and the search path finds one in %s", orElse(was, "none"), orElse(is, "none")))
	}
	if s.Options[policyOption] != now.Options[policyOption] {
		all = append(all, "the policy declares its columns otherwise")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Options)) {
		if strings.HasPrefix(name, movesOption) && now.Options[name] != s.Options[name] {
			all = append(all, "the policy has another transition for "+strings.TrimPrefix(name, movesOption))
		}
	}
	return strings.Join(all, "; ")
}

// rotated says that a job differs in nothing but in keys that were rotated since it began: their number never gets smaller.
func (s *jobSpec) rotated(now *jobSpec) bool {
	was, wasRoot, _ := strings.Cut(s.Options[keysOption], " ")
	is, isRoot, _ := strings.Cut(now.Options[keysOption], " ")
	before, err := strconv.Atoi(was)
	if err != nil {
		return false
	}
	after, err := strconv.Atoi(is)
	if err != nil || after <= before || wasRoot != isRoot {
		return false
	}
	same := maps.Clone(now.Options)
	same[keysOption] = s.Options[keysOption]
	return maps.Equal(same, s.Options) && slices.Equal(s.Columns, now.Columns) && s.Tenant == now.Tenant
}
