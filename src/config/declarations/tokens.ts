import { SIGNING_ALGORITHMS } from '../../domain/model/signing-key.js';
import {
  boolean,
  claimColumns,
  date,
  duration,
  integer,
  list,
  oneOf,
  path,
  pattern,
} from '../setting-kinds.js';
import { type Declaration, LINE, PUBLIC_URL } from './declaration.js';

const TABLE = pattern(
  /^(?:[\w$]{1,64}\.)?[\w$]{1,64}$/,
  "a table's name, or schema.table, of A-Z a-z 0-9 _ $",
);
// A question mark would be a placeholder without a value.
const CONDITION = pattern(/^[^?]{1,4096}$/, 'an SQL condition without a question mark');
// What a media type may have (RFC 6838 §4.2), and a slash.
const TYPES = list(/^[A-Za-z0-9][\w!#$&^.+/-]{0,126}$/, 'types separated by commas, such as JWT,at+jwt');
const COLUMN = pattern(/^[\w$]{1,64}$/, "a column's name, of A-Z a-z 0-9 _ $");

/** Tokens, sessions, keys, users, and the registry. */
export const TOKEN_SETTINGS = {
  'token.issuer': { kind: LINE, fallback: 'jwtctl', inProjectFile: true, doc: 'iss claim of every token.' },
  'token.audience': {
    kind: LINE,
    fallback: 'user',
    inProjectFile: true,
    doc: 'aud claim of tokens issued without --aud, and the audience that verification expects.',
  },
  'token.ttl': {
    kind: duration(),
    fallback: '1h',
    inProjectFile: true,
    doc: 'Lifetime of tokens issued without --ttl.',
  },
  'token.maxTtl': {
    kind: duration(),
    fallback: '24h',
    restricts: true,
    doc: 'Longest lifetime that a token can have.',
  },
  'token.actMaxTtl': {
    kind: duration(),
    fallback: '15m',
    restricts: true,
    doc: 'Longest lifetime of a token with which an operator acts as a user (`token issue --act`).',
  },
  'token.clockTolerance': {
    kind: duration(),
    fallback: '5s',
    doc: 'Largest accepted difference between the clocks of issuers, verifiers, and stores. If the clock of a host differs by more, jwtctl warns when it connects.',
  },
  'token.type': {
    kind: oneOf('JWT', 'at+jwt'),
    fallback: 'JWT',
    doc: 'typ header of new tokens. With at+jwt, they are access tokens of RFC 9068: each needs a client_id, which is the ID of the API client or --client-id.',
  },
  'token.acceptTypes': {
    kind: TYPES,
    fallback: 'JWT,at+jwt',
    restricts: true,
    doc: 'typ headers that verification accepts. Case and the prefix application/ do not matter. A token without typ is accepted. A token whose claims say that it is a refresh, ID, or logout token is accepted only if the list has that type, such as id.',
  },
  'token.idleTimeout': {
    kind: duration(),
    restricts: true,
    doc: 'A token that was not used for this long is refused (ERR_TOKEN_IDLE), even before it expires. At least 10s. Set it on all hosts. Without it, tokens need not be used.',
  },
  'token.acceptLegacy': {
    kind: date,
    doc: 'Last day (UTC), or the NumericDate, until which tokens registered with `token register --legacy` are accepted. Without this setting, such tokens are refused.',
  },
  'refresh.ttl': {
    kind: duration(),
    fallback: '30d',
    doc: 'Lifetime of a refresh token. Each use replaces it with a new one, so a session ends if it is not refreshed for this long.',
  },
  'refresh.maxAge': {
    kind: duration(),
    restricts: true,
    doc: 'How long a session can last, however often it is refreshed. Without it, a session has no end while it is used.',
  },
  'refresh.grace': {
    kind: duration(3600),
    fallback: '10s',
    doc: 'How long after its use a refresh token still returns the same new tokens, for example to a second browser tab or after a lost response. A later use ends the session.',
  },
  'keys.bits': {
    kind: integer(2048, 8192),
    fallback: '2048',
    inProjectFile: true,
    doc: 'Modulus length of new RSA keys.',
  },
  'keys.algorithm': {
    kind: oneOf(...SIGNING_ALGORITHMS),
    fallback: 'RS256',
    inProjectFile: true,
    doc: 'Signature algorithm (alg) of new keys.',
  },
  'keys.rotateAfter': {
    kind: duration(),
    fallback: '30d',
    inProjectFile: true,
    doc: 'Age at which the active key is due for rotation.',
  },
  'keys.publishLead': {
    kind: duration(),
    fallback: '10m',
    inProjectFile: true,
    doc: 'How long a key is published in the JWK Set before it signs. Must be at least the time for which verifiers cache the set.',
  },
  'keys.publishUrl': {
    kind: PUBLIC_URL,
    restricts: true,
    doc: 'URL of the JWK Set that verifiers read, such as https://auth.example.com/.well-known/jwks.json. `keys rotate` lets a key sign only after this URL shows it, through every cache on the way.',
  },
  'keys.publishCa': {
    kind: path,
    restricts: true,
    doc: 'PEM file with the CA certificates trusted for keys.publishUrl. Without it, the CAs that Node.js trusts by default are used.',
  },
  'users.source': {
    kind: oneOf('managed', 'table', 'off'),
    fallback: 'managed',
    doc: 'Where users are kept: in a table that jwtctl manages (managed), or in your own table (table). With off, tokens need no user.',
  },
  'users.table': {
    kind: TABLE,
    doc: 'Table with your users, if users.source is table. The MySQL account needs SELECT on it: GRANT SELECT ON app.users TO jwtctl.',
  },
  'users.column': { kind: COLUMN, doc: 'Column with the subject, if users.source is table.' },
  'users.idType': {
    kind: oneOf('text', 'uuid-binary'),
    fallback: 'text',
    doc: 'Type of users.column: text, a number, or a string (text), or a UUID in BINARY(16) (uuid-binary). With uuid-binary, the subject is the UUID in lowercase.',
  },
  'users.enabledWhere': {
    kind: CONDITION,
    class: 'command',
    restricts: true,
    doc: 'SQL condition that is true for enabled users, if users.source is table. Without it, all users are enabled.',
  },
  'users.claims': {
    kind: claimColumns(COLUMN.pattern),
    doc: 'Claims of new tokens from columns of users.table, if users.source is table: a map of claims to columns, or text such as role=role_name,tenant=tenant_id. A column holds text, a number, or JSON. NULL leaves the claim out.',
  },
  'users.statusTtl': {
    kind: duration(),
    fallback: '60s',
    doc: "How long a user's status is cached before the database is asked again.",
  },
  'verifier.nearCache': {
    kind: boolean,
    fallback: 'false',
    doc: 'Keep verdicts in the memory of a running verifier until Redis invalidates them.',
  },
  'verifier.rememberedTokens': {
    kind: integer(1, 10_000_000),
    fallback: '20000',
    doc: 'Number of tokens whose signatures a running verifier remembers, about 2 KB each.',
  },
  'verifier.grace': {
    kind: duration(),
    fallback: '5m',
    doc: 'How long a running verifier uses the keys and users that it knows while the database does not respond. At least 10s.',
  },
  'registry.maxPerSubject': {
    // One atomic script looks at all of them when another is registered.
    kind: integer(1, 10_000),
    restricts: true,
    doc: 'Number of live tokens that a subject can have, at most 10,000. A new token beyond this number removes the oldest one. A subject can also have this many sessions (without this setting, 1,000), plus a tenth. A new session beyond that removes the oldest ones.',
  },
  'registry.onLimit': {
    kind: oneOf('evict', 'refuse'),
    fallback: 'evict',
    doc: 'What happens if a subject has registry.maxPerSubject live tokens and another one is issued: evict removes the oldest token, and refuse issues no token (ERR_TOKEN_LIMIT). With refuse, the tokens of a session count as one. A session without a live token is not counted, and can always be refreshed.',
  },
} as const satisfies Record<string, Declaration>;
