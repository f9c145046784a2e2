// Shop shows login, roles, logout, and refresh with jwtctl.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	app := &app{
		authURL:       env("AUTH_URL", "http://127.0.0.1:8787"),
		clientID:      env("AUTH_CLIENT_ID", "shop"),
		clientSecret:  os.Getenv("AUTH_CLIENT_SECRET"),
		secureCookies: os.Getenv("COOKIE_SECURE") != "0",
		client:        newClient(),
	}
	if app.clientSecret == "" {
		log.Fatal("AUTH_CLIENT_SECRET is missing.")
	}
	if _, err := url.Parse(app.authURL); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/login", route(http.MethodPost, app.login))
	mux.HandleFunc("/refresh", route(http.MethodPost, app.refresh))
	mux.HandleFunc("/logout", route(http.MethodPost, app.logout))
	mux.HandleFunc("/logout-everywhere", route(http.MethodPost, app.loginRequired("/verify", app.logoutEverywhere)))
	mux.HandleFunc("/me", route(http.MethodGet, app.loginRequired("/verify", app.me)))
	mux.HandleFunc("/admin", route(http.MethodGet, app.loginRequired("/verify/@admin", app.admin)))
	mux.HandleFunc("/sessions", route(http.MethodGet, app.loginRequired("/verify", app.sessions)))
	server := &http.Server{
		Addr:              "127.0.0.1:" + env("PORT", "8000"),
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

type app struct {
	authURL, clientID, clientSecret string
	secureCookies                   bool
	client                          *http.Client
}

// A user is the authenticated sender of a request.
type user struct{ sub, jti, role string }

// A handler returns an error instead of writing it.
type handler func(http.ResponseWriter, *http.Request) error

// A status is an error with the status of the response. Any other error is 503.
type status int

func (s status) Error() string { return http.StatusText(int(s)) }

func route(method string, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var err error = status(http.StatusMethodNotAllowed)
		if r.Method == method {
			err = handle(w, r)
		}
		if err == nil {
			return
		}
		code := status(http.StatusServiceUnavailable)
		if !errors.As(err, &code) {
			log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		_ = writeJSON(w, int(code), map[string]string{"error": code.Error()})
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(value)
}
