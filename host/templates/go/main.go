//go:build wasip1

// What the host calls, and what the job asks of the host. The work itself is in the package check, where tests reach it.
package main

import (
	"fmt"
	"log/slog"

	"example.com/{{name}}/check"
	"soloist"
)

func init() { soloist.Job(run) }

// The host calls the job; there is nothing to do before.
func main() {}

// settings are [job.NAME.config].
type settings struct {
	URL string `json:"url"`
}

// run does the job once. The text is a one-line summary for people; an error is worth another attempt, unless it is
// marked by soloist.Final.
func run(context soloist.Context) (string, error) {
	var set settings
	if err := soloist.Settings(&set); err != nil {
		return "", err
	}
	if set.URL == "" {
		return "", soloist.Final(fmt.Errorf("the setting `url` is missing"))
	}
	soloist.Log(slog.LevelInfo, fmt.Sprintf("round %d, attempt %d: asking %s", context.Round, context.Attempt, set.URL))
	return check.Check(set.URL, func(url string) (int, []byte, error) {
		response, err := soloist.Get(url)
		return response.Status, response.Body, err
	})
}
