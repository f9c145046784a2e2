import { describeValue } from '../shared/describe-value.js';
import { JwtctlError } from '../shared/errors.js';
import { hasControlCharacter } from '../shared/text.js';

export const MAX_SUBJECT_BYTES = 255;
/** Returns why `value` is not a `sub` (RFC 7519 §4.1.2). `*`, `a}b`, and `--` are ordinary subjects. */
export function subjectFault(value: string): string | null {
  // A JavaScript caller may pass undefined.
  if (typeof value !== 'string') return `it is ${describeValue(value)}, not a string`;
  if (value === '') return 'it is empty';
  // Node decodes malformed bytes of a command line or a stream as U+FFFD.
  if (!value.isWellFormed() || value.includes('\uFFFD')) return 'it is not well-formed UTF-8';
  if (hasControlCharacter(value)) return 'it holds a control character';
  const bytes = Buffer.byteLength(value);
  return bytes > MAX_SUBJECT_BYTES
    ? `it is ${bytes} bytes long; at most ${MAX_SUBJECT_BYTES} are allowed`
    : null;
}

export function parseSubject(value: string): string {
  const fault = subjectFault(value);
  if (fault !== null) throw new JwtctlError('ERR_SUBJECT_INVALID', `The subject cannot be used: ${fault}.`);
  return value;
}
