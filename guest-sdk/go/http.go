package soloist

import (
	"strings"
	"time"

	"soloist/imports/soloist_job_http"
	"soloist/wit/types"
)

// Request is an HTTP request to an origin that the job was granted.
type Request struct {
	// The method in capitals; GET if it is empty.
	Method string
	// An absolute http or https URL.
	URL string
	// Header fields, each a name and a value.
	Header [][2]string
	// The body, of at most 1 MiB.
	Body []byte
	// How long the whole exchange may take; not bounded but by the host if it is zero.
	Timeout time.Duration
}

// Response is an answer, whatever its status.
type Response struct {
	Status int
	// Header fields, in order, names in lower case.
	Header [][2]string
	Body   []byte
	// The URL that answered, after redirects.
	URL string
}

// Get returns the first header field of this name.
func (r Response) Get(name string) string {
	for _, field := range r.Header {
		if strings.EqualFold(field[0], name) {
			return field[1]
		}
	}
	return ""
}

// Get asks a URL and waits for the whole response.
func Get(url string) (Response, error) {
	return Send(Request{URL: url})
}

// Send sends a request and waits for the whole response. An error that no further attempt can help is marked by [Final].
func Send(request Request) (Response, error) {
	asked := soloist_job_http.Request{
		Method:    request.Method,
		Url:       request.URL,
		Body:      request.Body,
		TimeoutMs: types.None[uint32](),
	}
	if asked.Method == "" {
		asked.Method = "GET"
	}
	for _, field := range request.Header {
		asked.Headers = append(asked.Headers, types.Tuple2[string, string]{F0: field[0], F1: field[1]})
	}
	if request.Timeout > 0 {
		asked.TimeoutMs = types.Some(uint32(min(request.Timeout.Milliseconds(), 1<<31)))
	}
	result := soloist_job_http.Fetch(asked)
	if result.Tag() == types.ResultErr {
		return Response{}, httpError(result.Err())
	}
	answer := result.Ok()
	response := Response{Status: int(answer.Status), Body: answer.Body, URL: answer.Url}
	for _, field := range answer.Headers {
		response.Header = append(response.Header, [2]string{field.F0, field.F1})
	}
	return response, nil
}
