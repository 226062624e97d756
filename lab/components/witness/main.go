// Command witness is both ends of the lab's test traffic: a server that says
// and writes down whom it saw, and the clients that ask it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const usage = `usage:
  witness serve [-listen ADDRESS] [-log FILE] [-name NAME]
        answer HTTP and UDP, and log each connection, request and datagram
  witness first [-listen ADDRESS] [-timeout 5s] URL
        answer a readiness probe; at the first one get URL once, and print how it went as JSON
  witness get [-timeout 5s] URL
        print the page, or say what went wrong and exit 1
  witness send [-timeout 5s] ADDRESS TEXT
        send a datagram and print the answer, or exit 1`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(64)
	}
	var err error
	switch flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError); os.Args[1] {
	case "serve":
		listen := flags.String("listen", ":8080", "address, for TCP and UDP")
		log := flags.String("log", "", "file to append to instead of stdout")
		name := flags.String("name", "", "how to introduce itself instead of by host name")
		flags.Parse(os.Args[2:])
		err = serve(*listen, *log, *name)
	case "first":
		listen := flags.String("listen", ":8080", "address for the probes")
		timeout := flags.Duration("timeout", 5*time.Second, "for the whole exchange")
		flags.Parse(os.Args[2:])
		err = first(*listen, flags.Arg(0), *timeout)
	case "get":
		timeout := flags.Duration("timeout", 5*time.Second, "for the whole exchange")
		flags.Parse(os.Args[2:])
		err = get(os.Stdout, flags.Arg(0), *timeout)
	case "send":
		timeout := flags.Duration("timeout", 5*time.Second, "for the whole exchange")
		flags.Parse(os.Args[2:])
		err = send(flags.Arg(0), flags.Arg(1), *timeout)
	default:
		err = errors.New(usage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

// get writes the page at url. A page that ends before its announced length is
// an error, so that a cut connection cannot pass for a complete answer.
func get(to io.Writer, url string, timeout time.Duration) error {
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	client := http.Client{Timeout: timeout, Transport: transport}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(to, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}

// send prints the one datagram that answers text.
func send(address, text string, timeout time.Duration) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	answer := make([]byte, 1<<16)
	length, err := conn.Read(answer)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(answer[:length])
	return err
}
