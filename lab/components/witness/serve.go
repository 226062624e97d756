package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// access is one line of the log. Request is absent for a connection itself.
type access struct {
	TimeMs  int64  `json:"time_ms"`
	Peer    string `json:"peer"`
	Request string `json:"request,omitempty"`
}

// journal writes lines; each is in the file before record returns.
type journal struct {
	mutex sync.Mutex
	file  *os.File
}

func (j *journal) record(peer net.Addr, request string) {
	line, err := json.Marshal(access{time.Now().UnixMilli(), peer.String(), request})
	if err == nil {
		j.mutex.Lock()
		defer j.mutex.Unlock()
		_, err = j.file.Write(append(line, '\n'))
	}
	if err != nil {
		// A witness that cannot write must not look like one that saw nothing.
		fmt.Fprintln(os.Stderr, "witness: the log:", err)
		os.Exit(1)
	}
}

// listener records connections as they are accepted.
type listener struct {
	net.Listener
	journal *journal
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.journal.record(conn.RemoteAddr(), "")
	}
	return conn, err
}

func serve(address, log, name string) error {
	if name == "" {
		var err error
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	journal := &journal{file: os.Stdout}
	if log != "" {
		var err error
		journal.file, err = os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
	}
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- answerDatagrams(udp, journal, name) }()
	server := &http.Server{Handler: pages(journal, name), ReadHeaderTimeout: 10 * time.Second}
	go func() { failed <- server.Serve(listener{tcp, journal}) }()
	return <-failed
}

func greeting(name string, peer net.Addr) string {
	host, _, err := net.SplitHostPort(peer.String())
	if err != nil {
		host = peer.String()
	}
	return fmt.Sprintf("This is %s. You are %s.\n", name, host)
}

// pages answers / with a greeting and /bytes/N with N bytes.
func pages(journal *journal, name string) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(http.ResponseWriter, *http.Request, net.Addr)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			peer, err := net.ResolveTCPAddr("tcp", r.RemoteAddr)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			journal.record(peer, r.Method+" "+r.URL.Path)
			answer(w, r, peer)
		})
	}
	handle("/", func(w http.ResponseWriter, _ *http.Request, peer net.Addr) {
		io.WriteString(w, greeting(name, peer))
	})
	handle("/bytes/{count}", func(w http.ResponseWriter, r *http.Request, _ net.Addr) {
		count, err := strconv.ParseInt(r.PathValue("count"), 10, 64)
		if err != nil || count < 0 {
			http.Error(w, "how many bytes?", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(count, 10))
		io.CopyN(w, pattern{}, count)
	})
	return mux
}

// pattern is endless and the same for everyone.
type pattern struct{}

func (pattern) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = byte('a' + i%26)
	}
	return len(into), nil
}

func answerDatagrams(conn net.PacketConn, journal *journal, name string) error {
	datagram := make([]byte, 1<<16)
	for {
		length, peer, err := conn.ReadFrom(datagram)
		if err != nil {
			return err
		}
		journal.record(peer, "UDP "+string(datagram[:length]))
		// A peer that is gone is its own loss.
		conn.WriteTo([]byte(greeting(name, peer)), peer)
	}
}
