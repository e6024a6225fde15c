// Package export_wit_world is what the generated exports call.
package export_wit_world

import (
	"soloist/imports/soloist_job_types"
	"soloist/wit/types"
)

// Do is the job. It is set by the package soloist.
var Do = func(soloist_job_types.Context) types.Result[string, soloist_job_types.Failure] {
	return types.Err[string](soloist_job_types.MakeFailureFinal("the module has no job: call soloist.Job in an init function"))
}

// Run does the job.
func Run(context soloist_job_types.Context) types.Result[string, soloist_job_types.Failure] {
	return Do(context)
}
