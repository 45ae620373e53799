package postern

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The verifier and the handler against the shared vectors. Run: go test (in this directory)

type received struct {
	Method  string            `json:"method"`
	Target  string            `json:"target"`
	Headers map[string]string `json:"headers"`
}

type vectors struct {
	KeyID   string `json:"keyid"`
	Key     []byte `json:"key"`
	Created int64  `json:"created"`
	Vectors []struct {
		Name     string   `json:"name"`
		Received received `json:"origin_receives"`
		Identity *struct {
			UserID    string `json:"user_id"`
			Role      string `json:"role"`
			SessionID string `json:"session_id"`
		} `json:"identity"`
	} `json:"vectors"`
}

func load(t *testing.T) (file vectors, keys map[string][]byte) {
	t.Helper()
	raw, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file, map[string][]byte{file.KeyID: file.Key}
}

func (file vectors) find(t *testing.T, start string) received {
	t.Helper()
	for _, vector := range file.Vectors {
		if strings.HasPrefix(vector.Name, start) {
			return vector.Received
		}
	}
	t.Fatalf("no vector %q", start)
	return received{}
}

// with returns a copy with one header changed.
func (r received) with(name, value string) received {
	r.Headers = maps.Clone(r.Headers)
	r.Headers[name] = value
	return r
}

// request is r as net/http hands it to a handler.
func (r received) request() *http.Request {
	request := httptest.NewRequest(r.Method, r.Target, nil)
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	return request
}

// at runs test with the clock stopped that long after the signatures were made.
func at(t *testing.T, after time.Duration, test func(t *testing.T)) {
	file, _ := load(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(file.Created, 0).Add(after)))
		test(t)
	})
}

func TestAcceptsEveryVector(t *testing.T) {
	at(t, 0, func(t *testing.T) {
		file, keys := load(t)
		for _, vector := range file.Vectors {
			verified, err := Verify(keys, vector.Received.request())
			if err != nil {
				t.Errorf("%s: %v", vector.Name, err)
				continue
			}
			if verified.RequestID != vector.Received.Headers["x-request-id"] {
				t.Errorf("%s: request id %q", vector.Name, verified.RequestID)
			}
			if (verified.Identity == nil) != (vector.Identity == nil) {
				t.Errorf("%s: identity %v", vector.Name, verified.Identity)
			} else if want := vector.Identity; want != nil {
				got := verified.Identity
				if got.UserID != want.UserID || got.Role != want.Role || got.SessionID != want.SessionID {
					t.Errorf("%s: identity %v", vector.Name, got)
				}
			}
		}
	})
}

func TestAcceptsTwoKeysWhileOneIsBeingReplaced(t *testing.T) {
	at(t, 0, func(t *testing.T) {
		file, keys := load(t)
		keys["postern-2"] = make([]byte, 32)
		if _, err := Verify(keys, file.find(t, "a query").request()); err != nil {
			t.Error(err)
		}
	})
}

func TestRefuses(t *testing.T) {
	at(t, 0, func(t *testing.T) {
		file, keys := load(t)
		query, public := file.find(t, "a query"), file.find(t, "a public route")
		method, path, search := query, query, query
		method.Method = "POST"
		path.Target = strings.Replace(query.Target, "users", "admin", 1)
		search.Target = "/api/users?role=admin"
		input := query.Headers["signature-input"]
		for name, test := range map[string]struct {
			received received
			keys     map[string][]byte
		}{
			"another method":                    {method, keys},
			"another path":                      {path, keys},
			"another query":                     {search, keys},
			"another role":                      {query.with("x-user-role", "admin"), keys},
			"an unknown keyid":                  {query, map[string][]byte{"postern-2": file.Key}},
			"another key":                       {query, map[string][]byte{file.KeyID: make([]byte, 32)}},
			"a signature over fewer components": {query.with("signature-input", strings.Replace(input, ` "x-user-role"`, "", 1)), keys},
			"identity headers under a public signature": {public.with("x-user-id", "1"), keys},
			"what is not signed":                        {received{"GET", "/api/users", map[string]string{"x-user-id": "1"}}, keys},
		} {
			if _, err := Verify(test.keys, test.received.request()); err == nil {
				t.Errorf("accepts %s", name)
			}
		}
	})
}

func TestRefusesWhatHasExpired(t *testing.T) {
	at(t, 66*time.Second, func(t *testing.T) {
		file, keys := load(t)
		if _, err := Verify(keys, file.find(t, "a query").request()); err == nil {
			t.Error("accepts what has expired")
		}
	})
}

func TestHandler(t *testing.T) {
	at(t, 0, func(t *testing.T) {
		file, keys := load(t)
		handler := Handler(keys, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Role", From(r.Context()).Identity.Role)
		}))
		query := file.find(t, "a query")
		accepted, refused := httptest.NewRecorder(), httptest.NewRecorder()
		handler.ServeHTTP(accepted, query.request())
		handler.ServeHTTP(refused, query.with("x-user-role", "admin").request())
		if accepted.Code != 200 || accepted.Header().Get("Role") != "user" || refused.Code != 401 {
			t.Errorf("%d %v, %d", accepted.Code, accepted.Header(), refused.Code)
		}
	})
}
