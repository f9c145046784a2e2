<?php

declare(strict_types=1);

define('AUTH_URL', getenv('AUTH_URL') ?: 'http://127.0.0.1:8787');
define('CLIENT', (getenv('AUTH_CLIENT_ID') ?: 'shop') . ':' . getenv('AUTH_CLIENT_SECRET'));
define('COOKIE_SECURE', getenv('COOKIE_SECURE') !== '0');

// Replace this with your own table of users. password_hash() makes the hashes.
const USERS = [
    'alice' => ['role' => 'admin', 'password' => '$2y$12$BTcHNtZoAN788HeqzLmLEuhex.8BVXwE7U9Y8gU5lQQRx2.5ofdla'],
    'bob' => ['role' => 'user', 'password' => '$2y$12$mgesfm6nkUGQGzYF3ZbGfevW4Icg01bzcogI87eQRbqoDtCH1Fh.m'],
];

/** The code is the status of the response. */
final class HttpError extends RuntimeException
{
}

try {
    $result = match ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
        'POST /login' => login(),
        'POST /refresh' => refresh(),
        'POST /logout' => logout(),
        'POST /logout-everywhere' => logoutEverywhere(),
        'GET /me' => me(),
        'GET /admin' => admin(),
        'GET /sessions' => sessions(),
        default => throw new HttpError('Not Found', 404),
    };
    $status = $result === null ? 204 : 200;
} catch (HttpError $error) {
    $status = $error->getCode();
    $result = ['error' => $error->getMessage()];
} catch (Throwable $error) {
    error_log((string) $error);
    $status = 500;
    $result = ['error' => 'Internal Server Error'];
}
http_response_code($status);
if ($result !== null) {
    header('Content-Type: application/json');
    echo json_encode($result, JSON_THROW_ON_ERROR);
}

function me(): array
{
    ['sub' => $sub, 'role' => $role] = authenticate();
    return ['sub' => $sub, 'role' => $role];
}

function admin(): array
{
    authenticate('/@admin');
    return ['message' => 'Only admins see this.'];
}

function login(): null
{
    $username = textOf($_POST, 'username');
    $user = USERS[$username] ?? null;
    // An unknown user takes as long as a wrong password, so that the time does not reveal which users exist.
    $hash = ($user ?? USERS['alice'])['password'];
    if (!password_verify(textOf($_POST, 'password'), $hash) || $user === null) {
        throw new HttpError('Unauthorized', 401);
    }
    $session = [
        'sub' => $username,
        'claims' => ['role' => $user['role']],
        'meta' => ['device' => substr(preg_replace('/[^ -~]/', '?', textOf($_SERVER, 'HTTP_USER_AGENT')), 0, 100)],
        'refresh' => true,
    ];
    [$status, $body] = ask('POST', '/v1/tokens', [201, 403, 404], [
        CURLOPT_USERPWD => CLIENT,
        CURLOPT_HTTPHEADER => ['Content-Type: application/json'],
        CURLOPT_POSTFIELDS => json_encode($session, JSON_THROW_ON_ERROR),
    ]);
    if ($status !== 201) { // The user is disabled, or unknown to jwtctl.
        error_log("jwtctl: $body");
        throw new HttpError('Forbidden', 403);
    }
    $issued = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    return setTokens($issued['token'], $issued['refreshToken']);
}

function refresh(): null
{
    $token = textOf($_COOKIE, 'refresh_token') ?: throw new HttpError('Unauthorized', 401);
    [$status, $body] = ask('POST', '/token', [200, 400], [
        CURLOPT_USERPWD => CLIENT,
        CURLOPT_POSTFIELDS => http_build_query(['grant_type' => 'refresh_token', 'refresh_token' => $token]),
    ]);
    if ($status !== 200) { // The session has ended.
        throw new HttpError('Unauthorized', 401);
    }
    $issued = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    return setTokens($issued['access_token'], $issued['refresh_token']);
}

function logout(): null
{
    $token = textOf($_COOKIE, 'refresh_token') ?: textOf($_COOKIE, 'access_token');
    if ($token !== '') {
        $form = http_build_query(['token' => $token]);
        ask('POST', '/revoke', [200], [CURLOPT_USERPWD => CLIENT, CURLOPT_POSTFIELDS => $form]);
    }
    return setTokens('', '');
}

function logoutEverywhere(): null
{
    $query = http_build_query(['sub' => authenticate()['sub'], 'all' => 'true']);
    ask('DELETE', "/v1/tokens?$query", [200], [CURLOPT_USERPWD => CLIENT]);
    return setTokens('', '');
}

function sessions(): array
{
    ['sub' => $sub, 'jti' => $jti] = authenticate();
    $query = http_build_query(['sub' => $sub]);
    [, $body] = ask('GET', "/v1/tokens?$query", [200], [CURLOPT_USERPWD => CLIENT]);
    $tokens = json_decode($body, true, flags: JSON_THROW_ON_ERROR);
    // An older access token of a session has no refreshExp.
    $live = array_filter($tokens, fn (array $token) => $token['refreshExp'] !== null);
    return array_map(
        fn (array $token) => ['meta' => $token['meta'], 'current' => $token['jti'] === $jti],
        array_values($live),
    );
}

/** Returns the user of the request. Throws unless jwtctl accepts the token, and the token meets the policy. */
function authenticate(string $policy = ''): array
{
    $token = textOf($_COOKIE, 'access_token');
    if (!preg_match('/^[\w.-]{1,8000}$/D', $token)) {
        throw new HttpError('Unauthorized', 401);
    }
    $options = [CURLOPT_HTTPHEADER => ["Authorization: Bearer $token"]];
    [$status, , $headers] = ask('GET', "/verify$policy", [200, 401, 403], $options);
    if ($status !== 200) {
        throw new HttpError($status === 403 ? 'Forbidden' : 'Unauthorized', $status);
    }
    return [
        'sub' => rawurldecode($headers['x-auth-subject']),
        'jti' => rawurldecode($headers['x-auth-jti']),
        'role' => rawurldecode($headers['x-user-role'] ?? ''),
    ];
}

/** Returns jwtctl's status, body, and headers if the status is expected. Anything else is 503, never an acceptance. */
function ask(string $method, string $path, array $expected, array $options): array
{
    $headers = [];
    $curl = curl_init(AUTH_URL . $path);
    curl_setopt_array($curl, $options + [
        CURLOPT_CUSTOMREQUEST => $method,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 10,
        CURLOPT_PROXY => '', // The host's proxy must not change the requests.
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$headers): int {
            [$name, $value] = explode(':', $line, 2) + [1 => ''];
            $headers[strtolower($name)] = trim($value);
            return strlen($line);
        },
    ]);
    $body = curl_exec($curl);
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    if ($body === false || !in_array($status, $expected, true)) {
        error_log("jwtctl: $method $path: " . (curl_error($curl) ?: "status $status"));
        throw new HttpError('Service Unavailable', 503);
    }
    return [$status, $body, $headers];
}

/** Sets both cookies. An empty token deletes its cookie. */
function setTokens(string $accessToken, string $refreshToken): null
{
    foreach (['access_token' => $accessToken, 'refresh_token' => $refreshToken] as $name => $token) {
        setcookie($name, $token, ['path' => '/', 'httponly' => true, 'samesite' => 'Lax', 'secure' => COOKIE_SECURE]);
    }
    return null;
}

/** PHP makes an array of a member such as name[]. That counts as empty. */
function textOf(array $source, string $name): string
{
    return is_string($source[$name] ?? null) ? $source[$name] : '';
}
