import { describeValue } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { shellWord } from '../shared/text.js';
import { MAX_SUBJECT_BYTES, subjectFault } from './subject.js';

/**
 * Accepts any `kid` of RFC 7515 §4.1.4 up to 255 bytes of well-formed UTF-8, without control characters. Kids compare
 * byte for byte.
 */
export function isKid(value: unknown): value is string {
  return typeof value === 'string' && subjectFault(value) === null;
}

export function parseKid(value: string): string {
  if (!isKid(value)) {
    const expected = `1 to ${MAX_SUBJECT_BYTES} bytes of UTF-8 without control characters`;
    throw new JwtctlError('ERR_KID_INVALID', `The kid is ${describeValue(value)}; expected ${expected}.`);
  }
  return value;
}

/** Returns the kid as an argument of a command that a person may copy into a shell. */
export function kidArgument(kid: string): string {
  return kid.startsWith('-') ? `-- ${shellWord(kid)}` : shellWord(kid);
}

/** Returns the kid as the beginning of a file name in the current folder. */
export function kidFileName(kid: string): string {
  return kid
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .replace(/^[.-]/, '_')
    .slice(0, 100);
}
