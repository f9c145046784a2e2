package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // The host's proxy must not change the requests.
	return &http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newRequest returns a request to jwtctl with the credentials of this application.
func (a *app) newRequest(r *http.Request, method, path, body string) *http.Request {
	request, err := http.NewRequestWithContext(r.Context(), method, a.authURL+path, strings.NewReader(body))
	if err != nil {
		panic(err) // Cannot happen: main has checked AUTH_URL.
	}
	request.SetBasicAuth(a.clientID, a.clientSecret)
	return request
}

func (a *app) newForm(r *http.Request, path string, form url.Values) *http.Request {
	request := a.newRequest(r, http.MethodPost, path, form.Encode())
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request
}

// ask returns jwtctl's response if its status is expected, and decodes the body of a success into result. Anything else is
// an error, never an acceptance.
func (a *app) ask(request *http.Request, result any, expected ...int) (*http.Response, error) {
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	for _, code := range expected {
		if code != response.StatusCode {
			continue
		}
		if result != nil && code < http.StatusBadRequest {
			err = json.NewDecoder(response.Body).Decode(result)
		}
		return response, err
	}
	return nil, fmt.Errorf("jwtctl: %s %s: %s", request.Method, request.URL.Path, response.Status)
}

// loginRequired lets a request through only if jwtctl accepts its token. The path selects the policy.
func (a *app) loginRequired(path string, next func(http.ResponseWriter, *http.Request, user) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		request := a.newRequest(r, http.MethodGet, path, "")
		request.Header.Set("Authorization", "Bearer "+cookieOf(r, "access_token"))
		response, err := a.ask(request, nil, http.StatusOK, http.StatusUnauthorized, http.StatusForbidden)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return status(response.StatusCode)
		}
		user, err := userOf(response.Header)
		if err != nil {
			return err
		}
		return next(w, r, user)
	}
}

func userOf(header http.Header) (user, error) {
	var values [3]string
	for i, name := range []string{"X-Auth-Subject", "X-Auth-Jti", "X-User-Role"} {
		value, err := url.PathUnescape(header.Get(name))
		if err != nil {
			return user{}, err
		}
		values[i] = value
	}
	if values[0] == "" {
		return user{}, errors.New("jwtctl: no X-Auth-Subject")
	}
	return user{sub: values[0], jti: values[1], role: values[2]}, nil
}
