import { describeValue } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { subjectFault } from './subject.js';

/** Accepts 1 to 255 bytes of well-formed UTF-8 without control characters (RFC 7519 §4.1.7). */
export function isJti(value: unknown): value is string {
  return typeof value === 'string' && subjectFault(value) === null;
}

export function parseJti(value: string): string {
  if (!isJti(value)) {
    const expected = '1 to 255 bytes of well-formed UTF-8 without control characters';
    throw new JwtctlError('ERR_JTI_INVALID', `The jti is ${describeValue(value)}; expected ${expected}.`);
  }
  return value;
}
