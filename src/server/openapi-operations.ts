/** What the OpenAPI document says about a route, beyond its schemas. */
export interface Operation {
  id: string;
  summary: string;
  /** The parameters of a form. */
  form?: Readonly<Record<string, string>>;
  /** Needs a Bearer token instead of a client. */
  isForBearer?: true;
  /** Does what another route does, for subjects that a path cannot carry. */
  isForAnySubject?: true;
  /** Successful answers without a schema of their own, and their media types (null for no body). */
  answers?: Readonly<Record<number, string | null>>;
  /** Errors that only some endpoints have. */
  errors?: readonly number[];
  /** A body that works for a user `alice`. */
  example?: Readonly<Record<string, unknown>>;
}

const JSON_TYPE = 'application/json';
const TOKEN = { token: 'the token' };
const NO_USER = { errors: [404, 409] };

const ANY_SUBJECT = { isForAnySubject: true, summary: 'The same, for any subject' } as const;

/** Every route, by its method and URL. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'GET /verify': {
    ...{ id: 'verify', summary: 'Whether the request may pass', isForBearer: true },
    ...{ answers: { 200: null }, errors: [400, 403] },
  },
  'POST /v1/tokens': {
    ...{ id: 'issueToken', summary: 'Log in: issue a token', ...NO_USER },
    example: { sub: 'alice', ttl: '15m', meta: { device: 'iPhone' } },
  },
  'POST /token': {
    ...{ id: 'refreshSession', summary: 'Refresh a session (RFC 6749 §6)' },
    form: { grant_type: 'refresh_token', refresh_token: 'the refresh token' },
  },
  'POST /introspect': {
    ...{ id: 'introspect', summary: 'The state and claims of a token (RFC 7662)', form: TOKEN },
    answers: { 200: JSON_TYPE },
  },
  'POST /revoke': {
    ...{ id: 'revokeToken', summary: 'End a token and its session (RFC 7009)', form: TOKEN },
    answers: { 200: null },
  },
  'POST /logout': {
    ...{ id: 'logout', summary: 'End the token of the request, and its session', isForBearer: true },
    ...{ answers: { 204: null }, errors: [400] },
  },
  'GET /v1/users/:sub/tokens': { id: 'listTokens', summary: 'The tokens and sessions of a user' },
  'GET /v1/tokens': { id: 'listTokensOf', ...ANY_SUBJECT },
  'DELETE /v1/users/:sub/tokens': { id: 'endTokens', summary: 'End some or all tokens of a user' },
  'DELETE /v1/tokens': { id: 'endTokensOf', ...ANY_SUBJECT },
  'DELETE /v1/users/:sub/tokens/:jti': { id: 'endToken', summary: 'End one token of a user' },
  'DELETE /v1/tokens/:jti': { id: 'endTokenOf', ...ANY_SUBJECT },
  'GET /dashboard': {
    ...{ id: 'dashboard', summary: 'The dashboard, for a browser', answers: { 200: 'text/html' } },
  },
  'GET /dashboard/events': {
    ...{ id: 'dashboardEvents', summary: 'What the dashboard shows, as server-sent events' },
    answers: { 200: 'text/event-stream' },
  },
  ...users('/v1/users/:sub', '', '/v1/users/:sub/refresh'),
  ...users('/v1/users', 'Of', '/v1/users/refresh'),
  'GET /.well-known/jwks.json': {
    ...{ id: 'jwkSet', summary: 'The public keys (RFC 7517)' },
    answers: { 200: 'application/jwk-set+json', 304: null },
  },
  'GET /.well-known/openid-configuration': {
    ...{ id: 'openIdConfiguration', summary: 'OpenID Connect Discovery', answers: { 200: JSON_TYPE } },
  },
  'GET /.well-known/oauth-authorization-server': {
    ...{ id: 'oauthMetadata', summary: 'OAuth server metadata (RFC 8414)', answers: { 200: JSON_TYPE } },
  },
  'GET /openapi.json': { id: 'openApi', summary: 'This API as OpenAPI 3.1', answers: { 200: JSON_TYPE } },
  'GET /healthz': { id: 'healthz', summary: 'Whether the process runs', answers: { 200: JSON_TYPE } },
  'GET /readyz': {
    id: 'readyz',
    summary: 'Whether this instance can verify',
    answers: { 200: JSON_TYPE, 503: JSON_TYPE },
  },
  'GET /metrics': { id: 'metrics', summary: 'Metrics for Prometheus', answers: { 200: 'text/plain' } },
};

function users(url: string, suffix: '' | 'Of', refreshUrl: string): Record<string, Operation> {
  const whose = suffix === '' ? '' : ', for any subject';
  const common = suffix === '' ? {} : ({ isForAnySubject: true } as const);
  return {
    [`PUT ${url}`]: {
      ...{ ...common, ...NO_USER, id: `putUser${suffix}` },
      summary: `Add a user, or set the name of an existing one${whose}`,
      example: { name: 'Alice' },
    },
    [`PATCH ${url}`]: {
      ...{ ...common, ...NO_USER, id: `patchUser${suffix}`, summary: `Change a user${whose}` },
      example: { status: 'disabled', for: '12h', reason: 'lost laptop' },
    },
    [`DELETE ${url}`]: {
      ...{ ...common, ...NO_USER, id: `deleteUser${suffix}`, summary: `Remove a user${whose}` },
    },
    [`POST ${refreshUrl}`]: {
      ...{ ...common, errors: [409], id: `refreshUser${suffix}` },
      summary: `Read a user in your table again${whose}`,
    },
  };
}
