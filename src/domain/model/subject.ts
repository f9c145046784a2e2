import { JwtctlError } from '../shared/errors.js';
import { hasControlCharacter } from '../shared/text.js';

export const MAX_SUBJECT_BYTES = 255;
/**
 * Why `value` cannot be a `sub` (RFC 7519 §4.1.2), or null where it can.
 *
 * A subject is 1 to 255 bytes of well-formed UTF-8 without control characters, compared byte for byte: no case folding,
 * no normalization, no trimming. It is otherwise opaque: `*`, `a}b` and `--` are subjects like any other.
 */
export function subjectFault(value: string): string | null {
  // A caller in JavaScript hands on what its request did not have.
  if (typeof value !== 'string') return 'it is not a string';
  if (value === '') return 'it is empty';
  // Node gives ill-formed bytes of a command line or a stream as U+FFFD.
  if (!value.isWellFormed() || value.includes('\uFFFD')) return 'it is not well-formed UTF-8';
  if (hasControlCharacter(value)) return 'it holds a control character';
  const bytes = Buffer.byteLength(value);
  return bytes > MAX_SUBJECT_BYTES
    ? `it is ${bytes} bytes long; at most ${MAX_SUBJECT_BYTES} are allowed`
    : null;
}

/** @throws JwtctlError `ERR_SUBJECT_INVALID` (usage) where {@link subjectFault} finds one */
export function parseSubject(value: string): string {
  const fault = subjectFault(value);
  if (fault !== null) {
    throw new JwtctlError('ERR_SUBJECT_INVALID', `The subject cannot be used: ${fault}.`, {
      hint: 'A subject is 1 to 255 bytes of well-formed UTF-8 without control characters.',
    });
  }
  return value;
}
