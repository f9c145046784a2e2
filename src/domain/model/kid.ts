import { describeValue } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { subjectFault } from './subject.js';

const SHAPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Accepts the `kid` of a stored key: 1 to 128 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit. */
export function isKid(value: unknown): value is string {
  return typeof value === 'string' && SHAPE.test(value);
}

/** Accepts 1 to 255 bytes of well-formed UTF-8 without control characters (RFC 7515 §4.1.4). */
export function isForeignKid(value: unknown): value is string {
  return typeof value === 'string' && subjectFault(value) === null;
}

export function parseKid(value: string): string {
  if (!isKid(value)) {
    const expected = '1 to 128 characters of A-Z a-z 0-9 . _ -, the first a letter or a digit';
    throw new JwtctlError('ERR_KID_INVALID', `The kid is ${describeValue(value)}; expected ${expected}.`);
  }
  return value;
}
