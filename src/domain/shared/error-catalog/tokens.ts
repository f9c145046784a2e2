import { notFound, refused, state, unavailable, usage } from './entry.js';

export const TOKENS_ERRORS = {
  ERR_ACT_INVALID: usage(
    'A token for an operator who acts as a user lacks a reason, or should have a refresh token.',
    'Pass the operator and a reason, and request no refresh token.',
  ),
  ERR_ALG_NOT_ALLOWED: refused(
    'The `alg` of the token is not allowed, or is not the algorithm of its key.',
    'Issue the token with `jwtctl token issue`, or sign it with the algorithm of the key.',
  ),
  ERR_AUDIENCE_INVALID: usage(
    'An audience for a new token is empty or not a string.',
    'Pass at least one audience. Each audience must be a non-empty string.',
  ),
  ERR_AUDIENCE_MISMATCH: refused(
    'The `aud` of the token does not contain the expected audience.',
    'Request a token for this audience, or check `token.audience`.',
  ),
  ERR_CLAIMS_FILE_INVALID: usage(
    'The file with the claims is not a JSON object.',
    'Write the claims as one JSON object, for example `{"role":"admin"}`.',
  ),
  ERR_CLAIM_INVALID: refused(
    'A claim of the token is missing or invalid. For `token revoke`, the token has no usable `sub` or `jti`.',
    'Fix the program that issued the token. To revoke a token by its IDs, run `jwtctl token revoke --sub SUB --jti JTI`.',
  ),
  ERR_CLAIM_RESERVED: usage(
    'A reserved claim (`iss sub aud exp nbf iat jti act`), or a `client_id` that names another client, cannot be set like other claims.',
    'Set `sub`, `aud`, the lifetime, and the not-before time with their own flags. `iss` comes from `token.issuer`, and jwtctl sets `iat`, `jti`, and `client_id`.',
  ),
  ERR_CLIENT_ID_INVALID: usage(
    'The client ID for a new token is invalid, or it is missing although `token.type` is `at+jwt`.',
    'Pass `--client-id`, or `clientId` to the library. A token issued over HTTP has the ID of the API client.',
  ),
  ERR_HEADERS_TOO_LONG: refused(
    'The headers of `serve.headers` would be too long for the proxy, or their claims are nested too deep.',
    'Put fewer or shorter claims into the token, or into `serve.headers`.',
  ),
  ERR_ISSUER_MISMATCH: refused(
    'The `iss` of the token is not the expected issuer.',
    'Check `token.issuer`, and check where the token comes from.',
  ),
  ERR_LEGACY_OVERLOADED: unavailable(
    'A verifier received too many legacy tokens (see the glossary) that it had not verified before.',
    'Try again in a moment. If the error persists, look for clients that send forged tokens, or run more verifiers.',
  ),
  ERR_JTI_INVALID: usage(
    'The text is not a valid `jti`.',
    'Use 1 to 255 bytes of well-formed UTF-8 without control characters.',
  ),
  ERR_KEY_NOT_TRUSTED: refused(
    "The token's key is retired, compromised, or unusable. Or the token expires after its key does.",
    'Issue a new token. `jwtctl keys show` explains the state of the key.',
  ),
  ERR_KEY_UNKNOWN: notFound(
    'A command names a key that the key store does not have, or a token is refused because no key has its `kid`.',
    'Run `jwtctl keys list` to see the keys. For a token, check that it was issued for this installation.',
  ),
  ERR_LOGIN_TOO_OLD: refused(
    "The login is older than the policy's `maxAge` allows, or the token says it is in the future.",
    'Log in again.',
  ),
  ERR_META_INVALID: usage(
    'The meta of a token has too many pairs, or a pair that is too long or not text.',
    'Correct the pair that the message names, or pass fewer pairs.',
  ),
  ERR_NOT_BEFORE_INVALID: usage(
    'The token would expire before it becomes valid.',
    'Choose an earlier not-before time or a longer lifetime.',
  ),
  ERR_POLICY_NOT_MET: refused(
    'The `aud` or another claim of the token is not what the policy demands.',
    'Request a token that meets the policy. The policies are in `serve.policies`.',
  ),
  ERR_POLICY_UNKNOWN: usage(
    'A proxy asked for a policy that `serve.policies` does not have.',
    'Correct the path after `/verify/@` in the proxy, or add the policy to `serve.policies`.',
  ),
  ERR_REFRESH_EXPIRED: refused(
    'The refresh token has expired: it was not used for `refresh.ttl`, or its session is older than `refresh.maxAge`.',
    'Log in again.',
  ),
  ERR_REFRESH_INVALID: refused(
    "The text is not a refresh token that this installation issued to this client, or the token's session was flushed or lost.",
    'Log in again. Check that all hosts use the same master keyring and the same Redis.',
  ),
  ERR_REFRESH_REUSED: refused(
    'The refresh token was used again after `refresh.grace`, so it may have been stolen. jwtctl has ended the session.',
    'Log in again. If this happens often, make sure that clients store each new refresh token before they use it, or raise `refresh.grace`.',
  ),
  ERR_REFRESH_REVOKED: refused(
    'The session of the refresh token has ended: it was logged out or revoked, its user was disabled, or its key was compromised.',
    'Log in again.',
  ),
  ERR_REGISTRATION_MISMATCH: refused(
    'The registry has an entry with this `jti`, but with another `kid`, `iat`, or `exp`.',
    'Issue a new token. Make sure that issuers never use a `jti` twice.',
  ),
  ERR_SCOPE_INSUFFICIENT: refused(
    'The token lacks a scope that the policy demands.',
    'Request a token with this scope.',
  ),
  ERR_SCOPE_INVALID: refused(
    'A refresh asked for a scope that its session does not have.',
    'Ask for scopes of the session, or log in again for others.',
  ),
  ERR_SIGNATURE_INVALID: refused(
    'The signature does not match the token and its key, so the token was changed or signed with another key.',
    'Request a new token, and check that the whole token was copied.',
  ),
  ERR_SUBJECT_INVALID: usage(
    'The text is not a valid subject.',
    'Use 1 to 255 bytes of well-formed UTF-8 without control characters.',
  ),
  ERR_TOKEN_AMBIGUOUS: refused(
    'The HTTP request contains more than one token.',
    'Send exactly one token with each request.',
  ),
  ERR_TOKEN_EXPIRED: refused(
    'The token has expired.',
    'Request a new token. If it should still be valid, compare the clocks of the hosts.',
  ),
  ERR_TOKEN_IDLE: refused(
    'The token was not used for `token.idleTimeout`, so it has ended before its `exp`.',
    'Log in again, or refresh the session. If the token was in use, set `token.idleTimeout` on all verifiers.',
  ),
  ERR_SUBJECT_TOO_LARGE: state(
    'The subject has more than 100,000 live tokens or sessions, which is the most that jwtctl lists.',
    'To list the oldest tokens, run `jwtctl token list` with `--limit`. If you did not issue that many tokens, another client of Redis added the entries: run `jwtctl cache flush --sub SUB`. The user must then log in again.',
  ),
  ERR_TOKEN_LIMIT: state(
    'The subject has as many live tokens as `registry.maxPerSubject` allows, and `registry.onLimit` is `refuse`.',
    'End a token of the subject with `jwtctl token revoke`, wait until one expires, or raise `registry.maxPerSubject`.',
  ),
  ERR_TOKEN_MALFORMED: refused(
    'The input is not a JWT: it is not a JWS in Compact Serialization with a JSON header and payload.',
    'Pass the token itself, or `-` to read it from standard input. Check that the whole token was copied.',
  ),
  ERR_TOKEN_MISSING: refused(
    'The HTTP request contains no token.',
    'Send the token in the `Authorization` header as `Bearer TOKEN`. For `/introspect`, send it as the parameter `token`.',
  ),
  ERR_TOKEN_NOT_REGISTERED: refused(
    'The token is not in the registry, because it was removed or never registered.',
    'Issue a new token. Register a token that was signed elsewhere with `jwtctl token register`.',
  ),
  ERR_TOKEN_NOT_YET_VALID: refused(
    'The `nbf` or `iat` of the token is in the future.',
    'Wait until the token is valid. If it should be valid now, compare the clocks of the hosts.',
  ),
  ERR_TOKEN_REVOKED: refused(
    'The token has been revoked.',
    'Request a new token. `jwtctl token list --sub SUB` lists the live tokens of the subject.',
  ),
  ERR_TOKEN_TOO_LONG: usage(
    'The new token would be longer than verifiers accept.',
    'Put fewer or shorter claims into the token.',
  ),
  ERR_TOKEN_TYPE_REFUSED: refused(
    'The `typ` of the token is not one of `token.acceptTypes`, or a claim such as `token_use` says that it is a refresh, ID, or logout token.',
    'Send an access token. To accept such tokens, add their type to `token.acceptTypes`.',
  ),
  ERR_TTL_INVALID: usage(
    'The lifetime is not a whole number of seconds above zero.',
    'Pass a lifetime such as `15m` or `3600`.',
  ),
  ERR_TTL_TOO_LONG: usage(
    'The lifetime is longer than `token.maxTtl`.',
    'Request a shorter lifetime, or raise `token.maxTtl`.',
  ),
  ERR_USER_CLAIM_INVALID: state(
    'A column of `users.claims` has a value that cannot be used: bytes, broken JSON, an inexact number, or a value that does not fit its claim, such as a number for `scope`. Or the rows of one user differ.',
    'Correct the row that the message names, or name a view in `users.table` that casts the column to CHAR.',
  ),
  ERR_USERS_NOT_MANAGED: state(
    'jwtctl does not manage the users, because `users.source` is not `managed`.',
    'Change the user in your own table. To end tokens immediately, run `jwtctl token revoke`.',
  ),
  ERR_USER_DISABLED: state(
    'A token cannot be issued for a disabled user, or a token is refused because its user is disabled.',
    'Run `jwtctl users enable`, or change the row in your own user table.',
  ),
  ERR_USER_EXISTS: state(
    'A user with this subject already exists.',
    'Run `jwtctl users show` to see the user.',
  ),
  ERR_USER_STORE_EMPTY: state(
    'The registry has tokens, but no user exists, so jwtctl did not remove the tokens of missing users.',
    'Restore the users or set `users.source`. To remove the tokens, run `jwtctl cache flush --all`.',
  ),
  ERR_USER_TABLE_UNREADABLE: usage(
    'The user table cannot be read, because the database rejected the query.',
    'Check `users.table`, `users.column`, and `users.enabledWhere`.',
  ),
  ERR_USER_UNKNOWN: notFound(
    'A command names a user that does not exist, or a token is refused because its user does not exist.',
    'Run `jwtctl users list` to see the users. Add the user with `jwtctl users add`, with `--create-user`, or in your own table.',
  ),
};
