// Package check is what the job does, without a host: whoever calls it brings what it needs.
package check

import "fmt"

// Check asks a URL and says how it was answered.
func Check(url string, get func(url string) (status int, body []byte, err error)) (string, error) {
	status, body, err := get(url)
	if err != nil {
		return "", err
	}
	if status < 200 || status > 299 {
		return "", fmt.Errorf("%s answered %d", url, status)
	}
	return fmt.Sprintf("%s answered %d with %d bytes", url, status, len(body)), nil
}
