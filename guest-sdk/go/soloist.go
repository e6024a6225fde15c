// Package soloist is what a Soloist job in Go is written with: the bindings to the host, as Go says things.
//
// A job is a package main that calls [Job] in an init function, and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags=-checklinkname=0 -o core.wasm .
//	cat core.wasm job.section > job.wasm
//
// where job.section, beside this package, says what the module's functions are.
package soloist

import (
	"errors"
	"time"

	"soloist/exports/export_wit_world"
	_ "soloist/exports/wit_exports" // the function that the host calls
	"soloist/imports/soloist_job_types"
	"soloist/wit/types"
)

// Context is what the host tells a job about the run that it is asked to do.
type Context struct {
	// The job's name: [job.NAME].
	Job string
	// The agent that runs it.
	Agent string
	// The round: its due time in seconds since the Unix epoch.
	Round uint64
	// The attempt at this round, from 1.
	Attempt uint32
	// When the round was due, and when the host will stop this run.
	Due, Deadline time.Time
	// How the run before ended, or nothing before the first.
	Previous string
}

// A failure that no further attempt in this round can help.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// Final marks an error: no further attempt in this round can help. Any other error is worth a retry.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return final{err}
}

// IsFinal tells whether an error is marked by [Final].
func IsFinal(err error) bool {
	var never final
	return errors.As(err, &never)
}

// Job says what the module does. The text that it returns is a summary for people, on one line.
func Job(run func(Context) (string, error)) {
	export_wit_world.Do = func(context soloist_job_types.Context) types.Result[string, soloist_job_types.Failure] {
		previous, _ := context.Previous.Get()
		summary, err := run(Context{
			Job:      context.Job,
			Agent:    context.Agent,
			Round:    context.Round,
			Attempt:  context.Attempt,
			Due:      time.UnixMilli(int64(context.DueMs)),
			Deadline: time.UnixMilli(int64(context.DeadlineMs)),
			Previous: previous,
		})
		switch {
		case err == nil:
			return types.Ok[string, soloist_job_types.Failure](summary)
		case IsFinal(err):
			return types.Err[string](soloist_job_types.MakeFailureFinal(err.Error()))
		default:
			return types.Err[string](soloist_job_types.MakeFailureRetry(err.Error()))
		}
	}
}
