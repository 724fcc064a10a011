package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTop(t *testing.T) {
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/commands/top?n=2" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(`{"requests_per_second": 12.5, "looked_at_one_of": 1, "clients": [{"client": "10.0.0.1", "requests_per_second": 12.5, "share": 1}],
			"path_prefixes": [{"path": "/hot", "requests_per_second": 10, "writes_per_second": 10, "bytes_per_second": 2048, "share": 0.8}],
			"operations": [], "combinations": [{"client": "10.0.0.1", "operation": "set_data", "path": "/hot", "requests_per_second": 10}], "error": null}`))
	}))
	defer admin.Close()
	got := run(t.Context(), "", "top", "--admin", admin.URL, "-n", "2")
	for _, want := range []string{"12.5 requests/s", "10.0.0.1", "/hot", "10.0.0.1 set_data /hot", "80 %", "2.0"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("no %q: %+v", want, got)
		}
	}
	if got := run(t.Context(), "", "top", "--admin", strings.TrimPrefix(admin.URL, "http://"), "-n", "2", "--json"); strings.Count(got.out, "\n") != 1 || !strings.HasPrefix(got.out, `{"requests_per_second":12.5`) {
		t.Errorf("%+v", got)
	}
	if got := run(t.Context(), "", "top", "--admin", admin.URL, "-n", "3"); got.code != exitOther || !strings.Contains(got.err, "no Gopherwood's admin port") {
		t.Errorf("%+v", got)
	}
	if got := run(t.Context(), "", "top", "-n", "0"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
	if got := run(t.Context(), "", "top", "--admin", "http://127.0.0.1:1"); got.code != exitNoServer || !strings.Contains(got.err, "refused") {
		t.Errorf("%+v", got)
	}
}
