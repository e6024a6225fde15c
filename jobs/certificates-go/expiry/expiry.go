// Package expiry tells which certificates end soon, and which of that is news. It knows no host.
package expiry

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxOrigins is how many origins' notices fit into a job's state.
const MaxOrigins = 30

// Certificate is the one of an origin's chain that ends first.
type Certificate struct {
	Origin string
	// Who it is for, as its issuer says.
	Subject string
	Ends    time.Time
	// A short name of the certificate: a new one is told anew.
	id string
}

// First reads a chain in DER, and finds the certificate that ends first.
func First(origin string, chain [][]byte) (Certificate, error) {
	var first Certificate
	for _, der := range chain {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return Certificate{}, fmt.Errorf("a certificate of %s cannot be read: %w", origin, err)
		}
		if first.id == "" || parsed.NotAfter.Before(first.Ends) {
			sum := sha256.Sum256(der)
			first = Certificate{origin, name(parsed), parsed.NotAfter, hex.EncodeToString(sum[:4])}
		}
	}
	if first.id == "" {
		return Certificate{}, fmt.Errorf("%s shows no certificate", origin)
	}
	return first, nil
}

func name(of *x509.Certificate) string {
	switch {
	case of.Subject.CommonName != "":
		return of.Subject.CommonName
	case len(of.DNSNames) > 0:
		return of.DNSNames[0]
	default:
		return of.Subject.String()
	}
}

// Days gives the whole days that are left: 0 on the last day, less than 0 once it is over.
func (c Certificate) Days(now time.Time) int {
	left := c.Ends.Sub(now)
	days := int(left / (24 * time.Hour))
	if left < 0 {
		days--
	}
	return days
}

// Steps are the numbers of days before the end at which something is told, each once.
type Steps []int

// NewSteps checks them.
func NewSteps(days []int) (Steps, error) {
	steps := slices.Clone(days)
	slices.Sort(steps)
	steps = slices.Compact(steps)
	if len(steps) == 0 || len(steps) > 10 || steps[0] < 0 || steps[len(steps)-1] > 999 {
		return nil, errors.New("the setting `days` must be 1 to 10 numbers from 0 to 999")
	}
	return steps, nil
}

// Over says that a certificate has ended.
const Over = -1

// step gives the smallest step that has been reached; whether one has.
func (s Steps) step(days int) (int, bool) {
	if days < 0 {
		return Over, true
	}
	at, _ := slices.BinarySearch(s, days)
	if at == len(s) {
		return 0, false
	}
	return s[at], true
}

// Memory is what has been told: the last step, by the certificate.
type Memory map[string]int

// Read reads what String wrote. What it cannot read was never told.
func Read(text string) Memory {
	memory := Memory{}
	for _, entry := range strings.Fields(text) {
		id, step, _ := strings.Cut(entry, "=")
		if step, err := strconv.Atoi(step); err == nil {
			memory[id] = step
		}
	}
	return memory
}

// String is the memory as the job's state holds it.
func (m Memory) String() string {
	var entries []string
	for id, step := range m {
		entries = append(entries, fmt.Sprintf("%s=%d", id, step))
	}
	slices.Sort(entries)
	return strings.Join(entries, " ")
}

// News gives the certificates that have come to a step that was not told yet, those that end first before the others, and
// what has been told then. Certificates that are gone are forgotten.
func News(told Memory, found []Certificate, steps Steps, now time.Time) ([]Certificate, Memory) {
	var fresh []Certificate
	after := Memory{}
	for _, certificate := range found {
		step, reached := steps.step(certificate.Days(now))
		if !reached {
			continue
		}
		if before, known := told[certificate.id]; !known || step < before {
			fresh = append(fresh, certificate)
		}
		after[certificate.id] = step
	}
	slices.SortStableFunc(fresh, func(a, b Certificate) int { return a.Ends.Compare(b.Ends) })
	return fresh, after
}

var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Message is what Slack is told.
func Message(fresh []Certificate, now time.Time) string {
	var text strings.Builder
	for _, certificate := range fresh {
		days := certificate.Days(now)
		sign, when := ":hourglass_flowing_sand:", fmt.Sprintf("ends in %d days", days)
		switch {
		case days < 0:
			sign, when = ":rotating_light:", "has ended"
		case days == 0:
			sign, when = ":rotating_light:", "ends today"
		case days == 1:
			when = "ends in a day"
		}
		fmt.Fprintf(&text, "%s the certificate of *%s* (%s) %s: %s\n", sign, markup.Replace(certificate.Origin),
			markup.Replace(certificate.Subject), when, certificate.Ends.UTC().Format("2006-01-02 15:04 MST"))
	}
	return strings.TrimSuffix(text.String(), "\n")
}
