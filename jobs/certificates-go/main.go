// A job that looks at the certificates of a few origins, and tells Slack which end soon.
package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"certificates/expiry"
	"soloist"
)

func init() { soloist.Job(run) }

// The host calls the job; there is nothing to do before.
func main() {}

// settings are [job.NAME.config].
type settings struct {
	Origins []string `json:"origins"`
	Channel string   `json:"channel"`
	Days    []int    `json:"days"`
}

// How much of the run is kept for telling Slack.
const reserve = 5 * time.Second

func load() (settings, expiry.Steps, error) {
	set := settings{Days: []int{30, 14, 7, 3, 1, 0}}
	if err := soloist.Settings(&set); err != nil {
		return set, nil, err
	}
	if set.Channel == "" {
		return set, nil, soloist.Final(fmt.Errorf("the setting `channel` is missing"))
	}
	if len(set.Origins) == 0 || len(set.Origins) > expiry.MaxOrigins {
		return set, nil, soloist.Final(fmt.Errorf("the setting `origins` must be 1 to %d origins", expiry.MaxOrigins))
	}
	steps, err := expiry.NewSteps(set.Days)
	return set, steps, soloist.Final(err)
}

func run(context soloist.Context) (string, error) {
	set, steps, err := load()
	if err != nil {
		return "", err
	}

	var found []expiry.Certificate
	var silent []string
	for at, origin := range set.Origins {
		// Each has its share of what is left, so that one that hangs leaves time for the others.
		left := time.Until(context.Deadline) - reserve
		share := min(10*time.Second, max(left/time.Duration(len(set.Origins)-at), time.Millisecond))
		chain, err := soloist.Certificates(origin, share)
		if err != nil && soloist.IsFinal(err) {
			return "", err
		}
		var first expiry.Certificate
		if err == nil {
			first, err = expiry.First(origin, chain)
		}
		if err != nil {
			soloist.Log(slog.LevelWarn, fmt.Sprintf("%s: %v", origin, err))
			silent = append(silent, origin)
			continue
		}
		found = append(found, first)
	}

	now := time.Now()
	told := expiry.Read(soloist.State())
	fresh, after := expiry.News(told, found, steps, now)
	if len(silent) > 0 {
		// Which of the certificates belong to those that did not answer is not known: none is forgotten.
		for id, step := range told {
			if _, known := after[id]; !known && len(after) < expiry.MaxOrigins {
				after[id] = step
			}
		}
	}
	summary := fmt.Sprintf("%d certificates", len(found))
	if len(fresh) > 0 {
		if err := soloist.Post(set.Channel, expiry.Message(fresh, now)); err != nil {
			return "", err
		}
		summary += fmt.Sprintf(", %d end soon; told %s", len(fresh), set.Channel)
	}
	if err := soloist.SetState(after.String()); err != nil {
		return "", err
	}
	if len(silent) > 0 {
		summary += "; no answer from " + strings.Join(silent, ", ")
		if len(found) == 0 {
			return "", fmt.Errorf("%s", summary)
		}
	}
	return summary, nil
}
