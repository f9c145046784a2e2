/**
 * What requests and responses look like, as JSON Schema. The server validates requests with these schemas, and sends only
 * the members of a response that its schema names. In messages, a description follows "expected".
 */

const SUBJECT = { type: 'string', description: 'the subject, a string of 1 to 255 bytes' } as const;
const SECONDS = {
  anyOf: [{ type: 'integer', minimum: 1 }, { type: 'string' }],
  description: 'a whole number of seconds, or a duration such as "15m"',
} as const;
const AUDIENCE = {
  anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
  description: 'a string, or an array of strings',
} as const;
const NUMERIC_DATE = { type: 'integer', description: 'NumericDate seconds' } as const;

export interface IssueBody {
  sub: string;
  aud?: string | string[];
  ttl?: number | string;
  notBefore?: number | string;
  claims?: Record<string, unknown>;
  meta?: Record<string, string>;
  refresh?: boolean;
  createUser?: boolean;
}

export const ISSUE_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['sub'],
  properties: {
    sub: SUBJECT,
    aud: AUDIENCE,
    ttl: SECONDS,
    notBefore: SECONDS,
    claims: { type: 'object', description: 'an object with claims other than the registered ones' },
    meta: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'facts about the session, such as its device: at most 8 pairs, 512 bytes as JSON',
    },
    refresh: { type: 'boolean', description: 'true or false' },
    createUser: { type: 'boolean', description: 'true or false' },
  },
} as const;

export const ISSUED_TOKEN = {
  type: 'object',
  required: ['token', 'tokenType', 'jti', 'kid', 'sub', 'aud', 'iat', 'exp'],
  properties: {
    token: { type: 'string', description: 'the JWT' },
    tokenType: { type: 'string', enum: ['Bearer'] },
    jti: { type: 'string' },
    kid: { type: 'string' },
    sub: { type: 'string' },
    aud: AUDIENCE,
    iat: NUMERIC_DATE,
    exp: NUMERIC_DATE,
    refreshToken: { type: 'string', description: 'opaque; only if requested' },
    refreshExp: NUMERIC_DATE,
  },
} as const;

/** RFC 6749 §5.1. */
export const REFRESHED_TOKEN = {
  type: 'object',
  required: ['access_token', 'token_type', 'expires_in', 'refresh_token'],
  properties: {
    access_token: { type: 'string', description: 'the JWT' },
    token_type: { type: 'string', enum: ['Bearer'] },
    expires_in: { type: 'integer', description: 'seconds' },
    refresh_token: { type: 'string', description: 'opaque; replaces the one that was sent' },
    scope: { type: 'string', description: 'only if the token has the claim' },
  },
} as const;

/** For paths with the subject: no parameter is allowed. */
export const LIST_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

export const LIST_QUERY_WITH_SUB = {
  ...LIST_QUERY,
  required: ['sub'],
  properties: { sub: SUBJECT },
} as const;

/** Exactly one of `all`, `except`, `issuedBefore`, and `where`. */
export interface EndQuery {
  all?: 'true';
  except?: string;
  issuedBefore?: string;
  where?: string | string[];
}

export const END_QUERY = {
  ...LIST_QUERY,
  properties: {
    all: { type: 'string', enum: ['true'], description: 'true' },
    except: { type: 'string', description: 'the jti of the token that stays' },
    issuedBefore: { type: 'string', pattern: '^[0-9]{1,11}$', description: 'NumericDate seconds' },
    where: {
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
      description: 'name=value, a pair of the meta; can be repeated',
    },
  },
} as const;

export const END_QUERY_WITH_SUB = {
  ...END_QUERY,
  required: ['sub'],
  properties: { sub: SUBJECT, ...END_QUERY.properties },
} as const;

const NUMERIC_DATE_OR_NULL = { type: ['integer', 'null'], description: 'NumericDate seconds' } as const;

export const TOKEN_LIST = {
  type: 'array',
  items: {
    type: 'object',
    required: ['jti', 'kid', 'iat', 'exp', 'refreshExp', 'lastSeen', 'idle', 'meta'],
    properties: {
      jti: { type: 'string' },
      kid: { type: ['string', 'null'], description: 'null if the key was purged' },
      iat: NUMERIC_DATE,
      exp: { ...NUMERIC_DATE_OR_NULL, description: 'null for a session without a live access token' },
      refreshExp: {
        ...NUMERIC_DATE_OR_NULL,
        description: 'when the session ends; null without a refresh token',
      },
      lastSeen: {
        ...NUMERIC_DATE_OR_NULL,
        description: 'when the token was last issued or verified; null without token.idleTimeout',
      },
      idle: {
        type: 'boolean',
        description: 'whether the token is refused, because it was not used for token.idleTimeout',
      },
      meta: { type: ['object', 'null'], additionalProperties: { type: 'string' } },
    },
  },
} as const;

export const ENDED_TOKENS = {
  type: 'object',
  required: ['revoked', 'sessions', 'alreadyGone'],
  properties: {
    revoked: { type: 'integer', description: 'the number of access tokens that were live' },
    sessions: { type: 'integer', description: 'the number of sessions that could be refreshed' },
    alreadyGone: { type: 'integer', description: '1 if the one token was not live' },
    withoutMeta: {
      type: 'integer',
      description: 'with where: the number of live tokens that stay because they have no meta',
    },
  },
} as const;

export interface UserBody {
  name?: string | null;
}

const NAME = { type: ['string', 'null'], description: 'a text of 1 to 255 characters, or null' } as const;

/** A request without a body is allowed. */
export const USER_BODY = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: { name: NAME },
} as const;

export interface UserChangeBody {
  status?: 'enabled' | 'disabled';
  for?: number | string;
  reason?: string;
  name?: string | null;
}

export const USER_CHANGE_BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    status: { type: 'string', enum: ['enabled', 'disabled'], description: 'enabled or disabled' },
    for: SECONDS,
    reason: { type: 'string', description: 'a text for the audit log' },
    name: NAME,
  },
} as const;

export const USER = {
  type: 'object',
  required: ['sub', 'name', 'status', 'disabledUntil', 'createdAt', 'updatedAt'],
  properties: {
    sub: { type: 'string' },
    name: { type: ['string', 'null'] },
    status: { type: 'string', enum: ['enabled', 'disabled'] },
    disabledUntil: {
      type: ['integer', 'null'],
      description: 'when a disabled user is automatically enabled again, in NumericDate seconds',
    },
    createdAt: NUMERIC_DATE,
    updatedAt: NUMERIC_DATE,
  },
} as const;

export const REFRESHED_USER = {
  type: 'object',
  required: ['sub', 'status'],
  properties: {
    sub: { type: 'string' },
    status: { type: 'string', enum: ['enabled', 'disabled', 'unknown'] },
  },
} as const;

export const REMOVED_USER = {
  type: 'object',
  required: ['revoked'],
  properties: { revoked: { type: 'integer', description: 'the number of access tokens that were live' } },
} as const;
