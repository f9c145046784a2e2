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
  },
} as const;
