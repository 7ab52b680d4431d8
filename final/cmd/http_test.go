package cmd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// callsURL reads where a program that serve started, with -http alone, can be
// called over HTTP: "http://127.0.0.1:1234/rpc/".
func callsURL(ts *testscript.TestScript, program string) string {
	if url := ts.Getenv(program + "_http"); url != "" {
		return url
	}
	line, err := started(ts, program).out.ReadString('\n')
	ts.Check(err)
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "calls on ")
	if !ok {
		ts.Fatalf("%s printed %q, not where it can be called", program, line)
	}
	ts.Setenv(program+"_http", url)
	return url
}

// post PROG METHOD PARAMS makes a call with JSON over HTTP, as curl would, and
// prints what comes back. It fails, and prints the status too, if that is not 200.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: post PROG METHOD PARAMS")
	}
	send(ts, neg, http.MethodPost, callsURL(ts, args[0])+args[1], "", args[2])
}

// get PROG PATH [HOST] prints a page of a program that serve started. It fails,
// and prints the status too, if that is not 200.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: get PROG PATH [HOST]")
	}
	host := ""
	if len(args) == 3 {
		host = args[2]
	}
	send(ts, neg, http.MethodGet, strings.TrimSuffix(callsURL(ts, args[0]), "/rpc/")+args[1], host, "")
}

func send(ts *testscript.TestScript, neg bool, method, url, host, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	ts.Check(err)
	req.Host = host
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if !neg {
			ts.Fatalf("%v", err)
		}
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if neg {
		fmt.Fprint(ts.Stdout(), resp.StatusCode, " ")
	}
	fmt.Fprintf(ts.Stdout(), "%s", text)
	if failed := resp.StatusCode != http.StatusOK; failed != neg {
		ts.Fatalf("%s %s: %s: %s", method, url, resp.Status, text)
	}
}
