import {
  boolean,
  clients,
  duration,
  headers,
  integer,
  oneOf,
  path,
  pattern,
  policies,
} from '../setting-kinds.js';
import { type Declaration, LINE, PUBLIC_URL } from './declaration.js';

const COOKIE = pattern(/^[\w!#$%&'*+.^`|~-]{1,128}$/, "a cookie's name (RFC 6265 §4.1.1)");

/** The HTTP server. */
export const SERVE_SETTINGS = {
  'serve.host': {
    kind: LINE,
    fallback: '127.0.0.1',
    doc: 'Address that the server listens on.',
  },
  'serve.port': {
    kind: integer(0, 65_535),
    fallback: '8787',
    doc: 'Port that the server listens on. With 0, the server picks a free port and logs its number.',
  },
  'serve.workers': { kind: integer(1, 256), fallback: '1', doc: 'Number of processes that share the port.' },
  'serve.cookie': { kind: COOKIE, doc: 'Cookie that holds the token if the Authorization header does not.' },
  'serve.drain': {
    kind: duration(3600),
    fallback: '3s',
    doc: 'How long a stopping server keeps serving requests before it closes its port. During this time, it reports that it is not ready.',
  },
  'serve.logLevel': {
    kind: oneOf('debug', 'info', 'warn', 'error'),
    fallback: 'info',
    doc: 'Lowest level that is logged. Failures are logged at error, refused tokens at info, and accepted tokens at debug.',
  },
  'serve.clients': {
    kind: clients,
    class: 'structure',
    doc: 'Applications that can use the HTTP API: a list of {id, secretFile or secretSha256, may: [introspect, issue, refresh, revoke, read, users], audiences}. A client without audiences can use all audiences. The variable takes JSON. Without clients, the API is off.',
  },
  'serve.headers': {
    kind: headers,
    class: 'structure',
    doc: 'Headers that /verify adds for an accepted token: a map from a header name, which begins with X- or Remote-, to a claim. Values are percent-encoded; lists and objects are JSON. The variable takes JSON.',
  },
  'serve.publicUrl': {
    kind: PUBLIC_URL,
    doc: 'URL under which clients reach the server. It must equal token.issuer. Turns on the discovery documents /.well-known/openid-configuration and /.well-known/oauth-authorization-server.',
  },
  'serve.policies': {
    kind: policies,
    class: 'structure',
    doc: 'Policies for /verify/@NAME, with more requirements for a token: a map from a name to {aud, scope, claims, maxAge}. The variable takes JSON.',
  },
  'serve.logout': {
    kind: boolean,
    fallback: 'false',
    doc: 'Whether POST /logout ends the token of the request.',
  },
  'serve.dashboard': {
    kind: boolean,
    fallback: 'false',
    doc: 'Whether GET /dashboard shows the state of the installation in a browser. It needs a client in serve.clients that may read and has no audiences.',
  },
  'serve.tls.cert': {
    kind: path,
    restricts: true,
    doc: "PEM file with the server's certificate and its intermediate certificates. With this file and serve.tls.key, the server uses HTTPS. Read again when it changes.",
  },
  'serve.tls.key': { kind: path, restricts: true, doc: "PEM file with the server's private key." },
} as const satisfies Record<string, Declaration>;
