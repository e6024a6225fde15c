package expiry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func der(t *testing.T, name string, ends time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    ends.Add(-90 * 24 * time.Hour),
		NotAfter:     ends,
	}
	made, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func in(days float64) time.Time { return now.Add(time.Duration(days * 24 * float64(time.Hour))) }

func certificate(t *testing.T, days float64) Certificate {
	t.Helper()
	found, err := First("https://example.com", [][]byte{der(t, "example.com", in(days))})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheCertificateThatEndsFirstCounts(t *testing.T) {
	chain := [][]byte{der(t, "leaf", in(60)), der(t, "intermediate", in(20)), der(t, "root", in(4000))}
	found, err := First("https://example.com", chain)
	if err != nil || found.Subject != "intermediate" || found.Days(now) != 20 {
		t.Fatalf("%+v, %v", found, err)
	}
	if _, err := First("https://example.com", nil); err == nil {
		t.Error("an empty chain was taken")
	}
	if _, err := First("https://example.com", [][]byte{{1, 2, 3}}); err == nil || !strings.Contains(err.Error(), "example.com") {
		t.Errorf("%v", err)
	}
}

func TestDaysAreCountedDown(t *testing.T) {
	for days, want := range map[float64]int{1.5: 1, 1: 1, 0.5: 0, -0.5: -1, -1.5: -2} {
		if got := certificate(t, days).Days(now); got != want {
			t.Errorf("%v: %d instead of %d", days, got, want)
		}
	}
}

func TestEachStepIsToldOnce(t *testing.T) {
	steps, err := NewSteps([]int{7, 30, 1, 7})
	if err != nil {
		t.Fatal(err)
	}
	found := certificate(t, 40)
	told := Memory{}
	var days []int
	for hour := range 41 * 24 {
		at := now.Add(time.Duration(hour) * time.Hour)
		var fresh []Certificate
		fresh, told = News(told, []Certificate{found}, steps, at)
		if len(fresh) > 0 {
			days = append(days, found.Days(at))
		}
		told = Read(told.String())
	}
	if want := []int{30, 7, 1, -1}; !reflect.DeepEqual(days, want) {
		t.Errorf("told at %v instead of %v", days, want)
	}
}

func TestANewCertificateIsToldAnew(t *testing.T) {
	steps, _ := NewSteps([]int{30})
	old, renewed := certificate(t, 10), certificate(t, 10)
	_, told := News(nil, []Certificate{old}, steps, now)
	fresh, told := News(told, []Certificate{renewed}, steps, now)
	if len(fresh) != 1 || len(told) != 1 {
		t.Errorf("%v, %v", fresh, told)
	}
}

func TestStepsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, days := range [][]int{nil, {-1}, {1000}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}} {
		if _, err := NewSteps(days); err == nil {
			t.Errorf("%v was taken", days)
		}
	}
}

func TestWhatIsRememberedFits(t *testing.T) {
	memory := Memory{}
	for number := range MaxOrigins {
		memory[fmt.Sprintf("%08x", number)] = 999
	}
	if text := memory.String(); len(text) > 398 || !reflect.DeepEqual(Read(text), memory) {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	if rubbish := Read("rubbish =x a=b"); len(rubbish) != 0 {
		t.Errorf("%v", rubbish)
	}
}

func TestAMessageNamesEach(t *testing.T) {
	text := Message([]Certificate{
		{Origin: "https://a.example.com", Subject: "<!channel>", Ends: in(-1)},
		{Origin: "https://b.example.com", Subject: "b", Ends: in(1)},
	}, now)
	want := ":rotating_light: the certificate of *https://a.example.com* (&lt;!channel&gt;) has ended: 2026-06-30 12:00 UTC\n" +
		":hourglass_flowing_sand: the certificate of *https://b.example.com* (b) ends in a day: 2026-07-02 12:00 UTC"
	if text != want {
		t.Error(text)
	}
}
