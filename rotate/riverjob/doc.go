// Package riverjob lets several machines work on the jobs of package rotate, by River, a job queue in PostgreSQL.
//
// One process calls [Runner.Run], which hands the job to the queue and works on it until it is done; any number of others call [Runner.Work],
// which works on what is there. A job of package rotate becomes these jobs of River, in the queue "rowseal":
//
//   - rowseal_plan, once however many operators start the same: enters the job in the journal of package
//     rotate, parted in ranges by a sample of the table's keys, and hands out the ranges.
//   - rowseal_range, for each range: walks it for two seconds at a time and lets others have a turn.
//   - rowseal_check, for each range of a rewrap or a reseal, after it: counts what is still due.
//   - rowseal_finish: when all ranges are walked and checked, retires keys that no value is under any more, and marks the job done.
//
// What River keeps is whose turn it is. How far a range is, what was counted and what was found stands in the journal, and is
// committed with each page of rows; a fencing token sees to it that a range which River gives to two workers, as it does with one that it
// takes for dead, is not counted twice. So `rowseal rotate status`, `pause`, `speed` and `cancel`, or in Go [rotate.Jobs] and [rotate.Command],
// work here as for any job.
//
// River's tables get a schema of their own, [DefaultSchema]. They must not be those of an application: the process that leads
// River's clients gives up jobs of which it does not know the kind, and after a time that is short here. New refuses such a schema.
package riverjob
