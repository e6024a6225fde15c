// A program as anybody writes one, without WIT: `GOOS=wasip1 go build`. What it does is its first argument.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	fmt.Println("arguments:", os.Args)
	fmt.Fprintln(os.Stderr, "round", os.Getenv("SOLOIST_ROUND"))
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "exit":
		fmt.Fprintln(os.Stderr, "no such thing")
		os.Exit(3)
	case "retry":
		os.Exit(75)
	case "panic":
		panic("no such thing: 7")
	case "sleep":
		time.Sleep(time.Hour)
	case "files":
		_, err := os.ReadFile("/etc/passwd")
		fmt.Println(err)
	default:
		time.Sleep(10 * time.Millisecond)
		fmt.Println("done after", 2+2)
	}
}
