// Package postern verifies that a request came through Postern (RFC 9421), with github.com/yaronf/httpsign.
//
//	key, err := base64.StdEncoding.DecodeString(os.Getenv("ORIGIN_SECRET"))
//	http.ListenAndServe(":8080", postern.Handler(map[string][]byte{"postern-1": key}, mux))
//
// In a handler, postern.From(r.Context()) tells who the request is from.
package postern

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/yaronf/httpsign"
)

// Identity is the authenticated user.
type Identity struct {
	UserID, Role, SessionID, Method string
}

// Verified is what the signature proved.
type Verified struct {
	// Identity is nil on a route that Postern lets through without a credential.
	Identity  *Identity
	RequestID string
	// Nonce is the same for every replay of this request, and for nothing else: refuse it when seen before.
	Nonce string
}

const (
	maxAge    = 60 * time.Second
	clockSkew = 5 * time.Second
	// blockSize of SHA-256. HMAC fills a shorter key up with zeros (RFC 2104, section 2): doing it here changes nothing,
	// and satisfies httpsign, which takes no key under 64 bytes.
	blockSize = 64
)

var (
	identity         = []string{"x-user-id", "x-user-role", "x-session-id", "x-auth-method"}
	coversIdentity   = covering(append(identity[:len(identity):len(identity)], "x-request-id")...)
	coversNoIdentity = covering("x-request-id")
	signatureInput   = regexp.MustCompile(`^postern=(\([^()]*\));created=[0-9]+;expires=[0-9]+;keyid="([A-Za-z0-9._-]{1,64})";alg="hmac-sha256"$`)
)

func covering(fields ...string) string {
	return `("@method" "@path" "@query" "` + strings.Join(fields, `" "`) + `")`
}

// Verify returns what the signature of r proves, or an error when r did not come through Postern, or not in the last
// 60 s. Keys are by keyid: one, or two while ORIGIN_SECRET is being changed.
func Verify(keys map[string][]byte, r *http.Request) (*Verified, error) {
	match := signatureInput.FindStringSubmatch(strings.Join(r.Header.Values("Signature-Input"), ", "))
	if match == nil {
		return nil, errors.New("not signed by Postern")
	}
	covered, keyID := match[1], match[2]
	key, ok := keys[keyID]
	if !ok {
		return nil, errors.New("not signed with a key that is accepted")
	}

	// A valid signature proves only what it covers: all of the identity, or none of it with no identity header present.
	hasIdentity := false
	for _, name := range identity {
		hasIdentity = hasIdentity || len(r.Header.Values(name)) > 0
	}
	if want := map[bool]string{true: coversIdentity, false: coversNoIdentity}[hasIdentity]; covered != want {
		return nil, errors.New("the signature covers too little")
	}

	config := httpsign.NewVerifyConfig().SetKeyID(keyID).SetAllowedAlgs([]string{"hmac-sha256"}).
		SetNotOlderThan(maxAge + clockSkew).SetNotNewerThan(clockSkew)
	padded := append(make([]byte, 0, max(len(key), blockSize)), key...)[:max(len(key), blockSize)]
	verifier, err := httpsign.NewHMACSHA256Verifier(padded, config, httpsign.Fields{})
	if err != nil {
		return nil, err
	}
	if err := httpsign.VerifyRequest("postern", *verifier, r); err != nil {
		return nil, err
	}

	verified := &Verified{RequestID: r.Header.Get("X-Request-Id"), Nonce: r.Header.Get("Signature")}
	if hasIdentity {
		verified.Identity = &Identity{
			UserID:    r.Header.Get("X-User-Id"),
			Role:      r.Header.Get("X-User-Role"),
			SessionID: r.Header.Get("X-Session-Id"),
			Method:    r.Header.Get("X-Auth-Method"),
		}
	}
	return verified, nil
}

type contextKey struct{}

// From returns what was verified of the request that ctx belongs to.
func From(ctx context.Context) *Verified {
	verified, _ := ctx.Value(contextKey{}).(*Verified)
	return verified
}

// Handler lets through to next what came through Postern, and answers 401 to the rest.
func Handler(keys map[string][]byte, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verified, err := Verify(keys, r)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, verified)))
	})
}
