package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// firstExchange is how the first connection of a pod's life went. Error is empty if it was answered.
type firstExchange struct {
	TookMs float64 `json:"took_ms"`
	At     float64 `json:"at"` // seconds since 1970
	Said   string  `json:"said"`
	Error  string  `json:"error"`
}

// first is an application that becomes ready: it answers the kubelet's probes, and gets url once.
// The clock starts with the first probe that it answers, which is before the kubelet has told
// anybody that the pod is ready.
func first(address, url string, timeout time.Duration) error {
	var once sync.Once
	server := &http.Server{
		Addr:              address,
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "ready\n")
			once.Do(func() { go report(url, timeout, time.Now()) })
		}),
	}
	return server.ListenAndServe()
}

func report(url string, timeout time.Duration, began time.Time) {
	var page strings.Builder
	err := get(&page, url, timeout)
	took := time.Since(began)
	exchange := firstExchange{
		TookMs: float64(took.Microseconds()) / 1000,
		At:     float64(time.Now().UnixMicro()) / 1e6,
		Said:   page.String(),
	}
	if err != nil {
		exchange.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(exchange)
}
