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

/**
 * Returns the subject of a new user. Refuses white space and zero-width characters that people do not see, so
 * that no two users look the same. Existing users may have such subjects.
 */
export function parseNewSubject(value: string): string {
  parseSubject(value);
  const fault = newSubjectFault(value);
  if (fault !== null) {
    throw new JwtctlError('ERR_SUBJECT_INVALID', `The subject cannot be used for a new user: ${fault}.`);
  }
  return value;
}

export function newSubjectFault(value: string): string | null {
  const [hidden] = HIDDEN.exec(value) ?? [];
  if (hidden === undefined) return null;
  const code = (hidden.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return hidden === ' '
    ? 'it begins or ends with a space'
    : `it holds white space that is not visible (U+${code})`;
}

/** U+200C and U+200D join the letters of some scripts, and emoji, but have no use beside ASCII. */
const HIDDEN =
  /^\s|\s$|[\u00a0\u00ad\u180e\u2007\u200b\u202f\u2060\ufeff]|(?<![^ -~])[\u200c\u200d]|[\u200c\u200d](?![^ -~])/u;
