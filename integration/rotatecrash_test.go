package integration

import (
	"cmp"
	"flag"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	crashSeed  = flag.Uint64("crash-seed", 1, "chooses the points at which jobs are killed")
	crashPoint = flag.String("crash-point", "", "kill at this point alone: JOB/N, as a failure prints it")
)

// At so many points processes are killed, over all jobs.
const (
	crashPoints      = 300
	crashPointsShort = 30
)

// TestJobsGoOnAfterAKillAnywhere kills a process that does a job at a statement, before it, within it or after it, and starts it
// again, while an application writes and reads the same rows. It prints how often a row was changed by the application between
// the job's reading and its writing.
func TestJobsGoOnAfterAKillAnywhere(t *testing.T) {
	if job, n, ok := strings.Cut(*crashPoint, "/"); ok {
		point, err := strconv.Atoi(n)
		must(t, err)
		if _, known := crashJobs[job]; !known {
			t.Fatalf("no job %q", job)
		}
		l := newLane(t, job)
		l.crash(point, *crashSeed)
		return
	}
	points := crashPoints
	if testing.Short() {
		points = crashPointsShort
	}
	names := slices.Sorted(maps.Keys(crashJobs))
	for i, name := range names {
		share := points*(i+1)/len(names) - points*i/len(names)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			l := newLane(t, name)
			all := l.run()
			chosen := choose(name, share, all)
			for _, point := range chosen {
				l.crash(point, *crashSeed)
				if t.Failed() {
					t.Fatalf("killed at point %d of %d, seed %d; repeat it with -run '^%s$' -crash-seed %d -crash-point %s/%d",
						point, all, *crashSeed, "TestJobsGoOnAfterAKillAnywhere", *crashSeed, name, point)
				}
			}
			if l.moving != nil {
				t.Logf("programs tried %d statements again, as the columns had changed", l.moving.tried.Load())
			}
			t.Logf("%d of %d points, %d not reached, %d killed twice, %d beside another process, %d leases waited for; %d rows written, %d read again by jobs; %v",
				len(chosen), all, l.missed, l.twice, l.together, l.waits, l.app.written.Load(), l.reread, time.Since(start).Round(time.Millisecond))
			if l.missed > 1+len(chosen)/10 {
				t.Errorf("%d points were not reached", l.missed)
			}
		})
	}
}

// choose takes points from all parts of a job.
func choose(name string, n, of int) []int {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(*crashSeed, h.Sum64()))
	n = min(n, of)
	points := make([]int, n)
	for i := range points {
		from, to := of*i/n, of*(i+1)/n
		points[i] = from + r.IntN(max(1, to-from))
	}
	slices.SortFunc(points, func(a, b int) int { return cmp.Compare(a, b) })
	return points
}
