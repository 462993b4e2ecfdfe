package riverjob

import (
	"maps"
	"slices"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rowseal/rowseal/field"
	"github.com/rowseal/rowseal/rotate"
)

// queue is the one queue of River's that is used.
const queue = "rowseal"

// attempts is how often a turn that fails is tried again: with retryAfter for two hours at the least.
const attempts = 300

// spec is a job of package rotate as it stands in River's tables.
type spec struct {
	Kind    rotate.Kind       `json:"kind"`
	Table   string            `json:"table"`
	Columns []string          `json:"columns,omitempty"`
	Tenant  string            `json:"tenant,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

func specOf(job rotate.Job) spec {
	return spec{
		Kind: job.Kind, Table: job.Table.Name(), Columns: slices.Sorted(slices.Values(job.Columns)), Tenant: job.Tenant,
		Options: job.Options,
	}
}

// job names River in the options, so that rotate.Run does not join a job whose ranges are handed out here.
func (s *spec) job(table *field.Table) rotate.Job {
	options := map[string]string{"workers": "river"}
	maps.Copy(options, s.Options)
	return rotate.Job{Kind: s.Kind, Table: table, Columns: s.Columns, Tenant: s.Tenant, Options: options}
}

// passes is how often each range stands in the journal: jobs that bring values to other keys are checked. Behind a
// backfill programs may go on writing in clear; Move.Left counts that, and the swap deals with it.
func (s *spec) passes() int {
	switch s.Kind {
	case rotate.Rewrap, rotate.Reseal:
		return 2
	}
	return 1
}

type planArgs struct {
	Spec spec `json:"spec" river:"unique"`
	// Policy is what the policy of whoever asks says of the columns: a planner with another one would begin another job,
	// and close this one for it.
	Policy string `json:"policy" river:"unique"`
	Ranges int    `json:"ranges"`
}

func (planArgs) Kind() string { return "rowseal_plan" }

// InsertOpts has one planner of a job at a time. Another one later joins the job in the journal, or begins it anew.
func (planArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queue, MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
	}}}
}

// rangeArgs are those of a range's turns.
type rangeArgs struct {
	Job  int64 `json:"job" river:"unique"`
	No   int   `json:"no" river:"unique"`
	Spec spec  `json:"spec"`
	// First is how many ranges the first pass has.
	First int `json:"first"`
}

func (rangeArgs) Kind() string { return "rowseal_range" }

func (rangeArgs) InsertOpts() river.InsertOpts { return oneOfAll }

type checkArgs struct{ rangeArgs }

func (checkArgs) Kind() string { return "rowseal_check" }

type finishArgs struct {
	Job   int64 `json:"job" river:"unique"`
	Spec  spec  `json:"spec"`
	First int   `json:"first"`
}

func (finishArgs) Kind() string { return "rowseal_finish" }

func (finishArgs) InsertOpts() river.InsertOpts { return oneOfAll }

// oneOfAll is for jobs of which there is one, those that are completed included.
var oneOfAll = river.InsertOpts{Queue: queue, MaxAttempts: attempts, UniqueOpts: river.UniqueOpts{ByArgs: true}}
