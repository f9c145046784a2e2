package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

func (a *app) me(w http.ResponseWriter, _ *http.Request, user user) error {
	return writeJSON(w, http.StatusOK, map[string]string{"sub": user.sub, "role": user.role})
}

func (a *app) admin(w http.ResponseWriter, _ *http.Request, _ user) error {
	return writeJSON(w, http.StatusOK, map[string]string{"message": "Only admins see this."})
}

func (a *app) login(w http.ResponseWriter, r *http.Request) error {
	name := r.PostFormValue("username")
	account, known := accounts[name]
	if !known {
		account = accounts["alice"] // Takes as long as a wrong password, so that the time does not reveal which users exist.
	}
	if !account.password.matches(r.PostFormValue("password")) || !known {
		return status(http.StatusUnauthorized)
	}
	body, err := json.Marshal(map[string]any{
		"sub":     name,
		"claims":  map[string]string{"role": account.role},
		"meta":    map[string]string{"device": deviceOf(r)},
		"refresh": true,
	})
	if err != nil {
		return err
	}
	request := a.newRequest(r, http.MethodPost, "/v1/tokens", string(body))
	request.Header.Set("Content-Type", "application/json")
	var issued struct{ Token, RefreshToken string }
	response, err := a.ask(request, &issued, http.StatusCreated, http.StatusForbidden, http.StatusNotFound)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated { // The user is disabled, or unknown to jwtctl.
		return status(http.StatusForbidden)
	}
	return a.setTokens(w, issued.Token, issued.RefreshToken)
}

func (a *app) refresh(w http.ResponseWriter, r *http.Request) error {
	token := cookieOf(r, "refresh_token")
	if token == "" {
		return status(http.StatusUnauthorized)
	}
	var issued struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	response, err := a.ask(a.newForm(r, "/token", form), &issued, http.StatusOK, http.StatusBadRequest)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK { // The session has ended.
		return status(http.StatusUnauthorized)
	}
	return a.setTokens(w, issued.AccessToken, issued.RefreshToken)
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) error {
	token := cookieOf(r, "refresh_token")
	if token == "" {
		token = cookieOf(r, "access_token")
	}
	if token != "" {
		if _, err := a.ask(a.newForm(r, "/revoke", url.Values{"token": {token}}), nil, http.StatusOK); err != nil {
			return err
		}
	}
	return a.setTokens(w, "", "")
}

func (a *app) logoutEverywhere(w http.ResponseWriter, r *http.Request, user user) error {
	query := url.Values{"sub": {user.sub}, "all": {"true"}}
	if _, err := a.ask(a.newRequest(r, http.MethodDelete, "/v1/tokens?"+query.Encode(), ""), nil, http.StatusOK); err != nil {
		return err
	}
	return a.setTokens(w, "", "")
}

func (a *app) sessions(w http.ResponseWriter, r *http.Request, user user) error {
	query := url.Values{"sub": {user.sub}}
	var tokens []struct {
		Jti        string
		RefreshExp *int64
		Meta       map[string]string
	}
	if _, err := a.ask(a.newRequest(r, http.MethodGet, "/v1/tokens?"+query.Encode(), ""), &tokens, http.StatusOK); err != nil {
		return err
	}
	sessions := []map[string]any{}
	for _, token := range tokens {
		// An older access token of a session has no refreshExp.
		if token.RefreshExp != nil {
			sessions = append(sessions, map[string]any{"meta": token.Meta, "current": token.Jti == user.jti})
		}
	}
	return writeJSON(w, http.StatusOK, sessions)
}

// setTokens sets both cookies. An empty token deletes its cookie.
func (a *app) setTokens(w http.ResponseWriter, accessToken, refreshToken string) error {
	for name, value := range map[string]string{"access_token": accessToken, "refresh_token": refreshToken} {
		cookie := &http.Cookie{
			Name:     name,
			Value:    value,
			Path:     "/",
			HttpOnly: true,
			SameSite: http.SameSiteLaxMode,
			Secure:   a.secureCookies,
		}
		if value == "" {
			cookie.MaxAge = -1
		}
		http.SetCookie(w, cookie)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func cookieOf(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// deviceOf returns printable ASCII, because jwtctl accepts no control characters in meta.
func deviceOf(r *http.Request) string {
	device := strings.Map(func(char rune) rune {
		if char < ' ' || char > '~' {
			return '?'
		}
		return char
	}, r.UserAgent())
	if len(device) > 100 {
		device = device[:100]
	}
	return device
}
