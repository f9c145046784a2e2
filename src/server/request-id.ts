import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Takes over a well-formed `X-Request-Id`; else makes an ID that no other process makes. */
export function newRequestIds(): (request: { headers: IncomingHttpHeaders }) => string {
  const prefix = `${randomBytes(6).toString('base64url')}-`;
  let count = 0;
  return ({ headers }) => {
    const given = headers['x-request-id'];
    return isRequestId(given) ? given : `${prefix}${(++count).toString(36)}`;
  };
}

function isRequestId(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:=+/@-]{1,128}$/.test(value);
}
