// Fails as the job's name says.
package main

import (
	"errors"
	"os"

	"soloist"
)

func init() { soloist.Job(run) }

func main() {}

func fail(mode string) error {
	var things []string
	switch mode {
	case "exception":
		panic("no such thing: 7")
	case "index":
		things[len(mode)] = mode
	case "exit":
		os.Exit(3)
	case "retry":
		return errors.New("again, please")
	case "final":
		return soloist.Final(errors.New("never again"))
	}
	return nil
}

func run(context soloist.Context) (string, error) {
	if err := fail(context.Job); err != nil {
		return "", err
	}
	return "did not fail", nil
}
