import { invalidRequest } from './failures.js';

/** Reads the parameter `token` of a form. */
export function formToken(body: unknown): string {
  const token = formParameter(body, 'token');
  if (token === undefined) throw invalidRequest('token', 'The form has no parameter token.');
  return token;
}

/** Reads a parameter of a form. Unknown parameters are ignored (RFC 6749 §3.2). */
export function formParameter(body: unknown, name: string): string | undefined {
  const values = body instanceof URLSearchParams ? body.getAll(name) : [];
  // RFC 6749 §3.2: a parameter must not be repeated.
  if (values.length > 1) throw invalidRequest(name, `The form has more than one parameter ${name}.`);
  return values[0];
}
