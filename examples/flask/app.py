import os
import re
from functools import wraps
from urllib.parse import unquote

import requests
from flask import Flask, abort, g, jsonify, make_response, request
from werkzeug.exceptions import HTTPException
from werkzeug.security import check_password_hash

AUTH_URL = os.environ.get("AUTH_URL", "http://127.0.0.1:8787")
CLIENT = (os.environ.get("AUTH_CLIENT_ID", "shop"), os.environ["AUTH_CLIENT_SECRET"])
COOKIE = {"httponly": True, "samesite": "Lax", "secure": os.environ.get("COOKIE_SECURE") != "0"}

# Replace this with your own table of users. werkzeug.security.generate_password_hash makes the hashes.
USERS = {
    "alice": {
        "role": "admin",
        "password": "pbkdf2:sha256:600000$YqdxkJ9sBLFOfjSj$0e5dcf2c66e01359b09747006e87711cb8e9e7cce344b8cf2caac82ddb8105d9",
    },
    "bob": {
        "role": "user",
        "password": "pbkdf2:sha256:600000$XqW2QLQLJ87rpH2S$aaee6f9f90fbf459009ee79c997225c5471e0821ab21dbb04cfd6d632cb39152",
    },
}

app = Flask(__name__)
jwtctl = requests.Session()
jwtctl.trust_env = False  # The host's proxy and .netrc must not change the requests.


def ask(method, path, expected, **options):
    """Returns jwtctl's response if its status is expected. Anything else is 503, never an acceptance."""
    try:
        response = jwtctl.request(method, AUTH_URL + path, timeout=10, allow_redirects=False, **options)
    except requests.RequestException as error:
        app.logger.error("jwtctl: %s %s: %s", method, path, error)
        abort(503)
    if response.status_code not in expected:
        app.logger.error("jwtctl: %s %s: status %d", method, path, response.status_code)
        abort(503)
    return response


def login_required(policy=None):
    """Lets a request through only if jwtctl accepts its token, and the token meets the policy."""
    path = f"/verify/@{policy}" if policy else "/verify"

    def decorate(view):
        @wraps(view)
        def guarded(*args, **kwargs):
            token = request.cookies.get("access_token", "")
            if not re.fullmatch(r"[\w.-]{1,8000}", token, re.ASCII):
                abort(401)
            response = ask("GET", path, {200, 401, 403}, headers={"Authorization": f"Bearer {token}"})
            if response.status_code != 200:
                abort(response.status_code)
            g.sub = unquote(response.headers["X-Auth-Subject"])
            g.jti = unquote(response.headers["X-Auth-Jti"])
            g.role = unquote(response.headers.get("X-User-Role", ""))
            return view(*args, **kwargs)

        return guarded

    return decorate


@app.get("/me")
@login_required()
def me():
    return jsonify(sub=g.sub, role=g.role)


@app.get("/admin")
@login_required(policy="admin")
def admin():
    return jsonify(message="Only admins see this.")


@app.post("/login")
def login():
    username = request.form.get("username", "")
    user = USERS.get(username)
    # An unknown user takes as long as a wrong password, so that the time does not reveal which users exist.
    password_hash = (user or USERS["alice"])["password"]
    if not check_password_hash(password_hash, request.form.get("password", "")) or user is None:
        abort(401)
    device = re.sub(r"[^ -~]", "?", request.user_agent.string)[:100]
    session = {"sub": username, "claims": {"role": user["role"]}, "meta": {"device": device}, "refresh": True}
    response = ask("POST", "/v1/tokens", {201, 403, 404}, auth=CLIENT, json=session)
    if response.status_code != 201:  # The user is disabled, or unknown to jwtctl.
        app.logger.warning("jwtctl: %s", response.text)
        abort(403)
    issued = response.json()
    return with_cookies(issued["token"], issued["refreshToken"])


@app.post("/refresh")
def refresh():
    token = request.cookies.get("refresh_token") or abort(401)
    form = {"grant_type": "refresh_token", "refresh_token": token}
    response = ask("POST", "/token", {200, 400}, auth=CLIENT, data=form)
    if response.status_code != 200:  # The session has ended.
        abort(401)
    issued = response.json()
    return with_cookies(issued["access_token"], issued["refresh_token"])


@app.post("/logout")
def logout():
    token = request.cookies.get("refresh_token") or request.cookies.get("access_token")
    if token:
        ask("POST", "/revoke", {200}, auth=CLIENT, data={"token": token})
    return with_cookies(None, None)


@app.post("/logout-everywhere")
@login_required()
def logout_everywhere():
    ask("DELETE", "/v1/tokens", {200}, auth=CLIENT, params={"sub": g.sub, "all": "true"})
    return with_cookies(None, None)


@app.get("/sessions")
@login_required()
def sessions():
    tokens = ask("GET", "/v1/tokens", {200}, auth=CLIENT, params={"sub": g.sub}).json()
    # An older access token of a session has no refreshExp.
    live = [token for token in tokens if token["refreshExp"] is not None]
    return jsonify([{"meta": token["meta"], "current": token["jti"] == g.jti} for token in live])


def with_cookies(access_token, refresh_token):
    """Sets both cookies. A missing token deletes its cookie."""
    response = make_response("", 204)
    for name, value in (("access_token", access_token), ("refresh_token", refresh_token)):
        response.set_cookie(name, value or "", max_age=None if value else 0, **COOKIE)
    return response


@app.errorhandler(HTTPException)
def as_json(error):
    return jsonify(error=error.name), error.code
