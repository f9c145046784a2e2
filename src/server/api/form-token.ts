import { invalidRequest } from './failures.js';

/** Reads the parameter `token` of a form. */
export function formToken(body: unknown): string {
  const tokens = body instanceof URLSearchParams ? body.getAll('token') : [];
  const [token] = tokens;
  if (token === undefined) throw invalidRequest('token', 'The form has no parameter token.');
  // RFC 6749 §3.2: a parameter must not be repeated.
  if (tokens.length > 1) throw invalidRequest('token', 'The form has more than one parameter token.');
  return token;
}
