package check

import (
	"errors"
	"testing"
)

const url = "https://example.com/"

func answer(t *testing.T, status int, body string) func(string) (int, []byte, error) {
	return func(asked string) (int, []byte, error) {
		if asked != url {
			t.Errorf("%s was asked", asked)
		}
		return status, []byte(body), nil
	}
}

func TestAnAnswerIsSummedUp(t *testing.T) {
	summary, err := Check(url, answer(t, 200, "hello"))
	if err != nil || summary != "https://example.com/ answered 200 with 5 bytes" {
		t.Errorf("%q, %v", summary, err)
	}
}

func TestAServiceThatIsDownIsAFailure(t *testing.T) {
	_, err := Check(url, answer(t, 503, ""))
	if err == nil || err.Error() != "https://example.com/ answered 503" {
		t.Errorf("%v", err)
	}
}

func TestNoAnswerIsAFailure(t *testing.T) {
	silent := errors.New("no answer in time")
	_, err := Check(url, func(string) (int, []byte, error) { return 0, nil, silent })
	if !errors.Is(err, silent) {
		t.Errorf("%v", err)
	}
}
