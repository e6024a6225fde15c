package soloist

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"soloist/imports/soloist_job_config"
	"soloist/imports/soloist_job_http"
	"soloist/imports/soloist_job_log"
	"soloist/imports/soloist_job_slack"
	"soloist/imports/soloist_job_state"
	"soloist/wit/types"
)

// Settings reads [job.NAME.config] into a struct. A setting that it does not know is an error.
func Settings(into any) error {
	decoder := json.NewDecoder(strings.NewReader(soloist_job_config.Json()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return Final(fmt.Errorf("the settings: %w", err))
	}
	return nil
}

// Log writes a line to the agent's log.
func Log(level slog.Level, message string) {
	kind := soloist_job_log.Level(soloist_job_log.Level_Debug)
	switch {
	case level >= slog.LevelError:
		kind = soloist_job_log.Level_Error
	case level >= slog.LevelWarn:
		kind = soloist_job_log.Level_Warn
	case level >= slog.LevelInfo:
		kind = soloist_job_log.Level_Info
	}
	soloist_job_log.Log(kind, message)
}

// State is what the job was left with; nothing if there is none.
func State() string {
	text, _ := soloist_job_state.Get().Get()
	return text
}

// SetState says what the job is to be left with if this run ends well: at most 400 bytes.
func SetState(text string) error {
	result := soloist_job_state.Set(types.Some(text))
	if result.Tag() == types.ResultErr {
		return Final(fmt.Errorf("the state has %d bytes, and 400 may be kept", result.Err().TooLarge()))
	}
	return nil
}

// Certificates gives the chain that a granted https origin presents, in DER, unverified.
func Certificates(origin string, timeout time.Duration) ([][]byte, error) {
	result := soloist_job_http.Certificates(origin, types.Some(uint32(timeout.Milliseconds())))
	if result.Tag() == types.ResultErr {
		return nil, httpError(result.Err())
	}
	return result.Ok(), nil
}

func httpError(err soloist_job_http.Error) error {
	switch err.Tag() {
	case soloist_job_http.Error_Denied:
		return Final(errors.New(err.Denied()))
	case soloist_job_http.Error_Invalid:
		return Final(errors.New(err.Invalid()))
	case soloist_job_http.Error_TooLarge:
		return Final(errors.New(err.TooLarge()))
	case soloist_job_http.Error_Timeout:
		return errors.New("no answer in time")
	default:
		return errors.New(err.Failed())
	}
}

// Post posts a text to a Slack channel that the job was granted.
func Post(channel, text string) error {
	result := soloist_job_slack.Post(soloist_job_slack.Message{
		Channel: channel,
		Text:    text,
		Blocks:  types.None[string](),
		Thread:  types.None[string](),
	})
	if result.Tag() == types.ResultOk {
		return nil
	}
	err := result.Err()
	switch err.Tag() {
	case soloist_job_slack.Error_Denied:
		return Final(errors.New(err.Denied()))
	case soloist_job_slack.Error_Invalid:
		return Final(errors.New(err.Invalid()))
	case soloist_job_slack.Error_Rejected:
		return Final(fmt.Errorf("Slack refused the message to %s: %s", channel, err.Rejected()))
	case soloist_job_slack.Error_RateLimited:
		return fmt.Errorf("Slack asks to wait %d s", err.RateLimited())
	default:
		return fmt.Errorf("%s could not be told: %s", channel, err.Unavailable())
	}
}
