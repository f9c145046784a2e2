import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';

/** An IPv6 address may begin an audience: `[::1]:8443`. */
const BRACKETED = /^\[(?!.*::).*\]$/s;

/**
 * Warns about an audience that looks like several, and refuses a list in brackets.
 *
 * @throws JwtctlError `ERR_FLAG_INVALID` (usage)
 */
export function checkAudience(aud: string, caution: (text: string) => void): string {
  const isBracketed = BRACKETED.test(aud);
  const parts = (isBracketed ? aud.slice(1, -1) : aud).split(/[\s,;"']+/).filter((part) => part !== '');
  const flags = parts.map((part) => `--aud ${excerpt(part)}`).join(' ');
  if (isBracketed) {
    throw new JwtctlError('ERR_FLAG_INVALID', '--aud takes one audience, but this is a list in brackets.', {
      hint: `Repeat the flag: ${flags}`,
    });
  }
  if (parts.length > 1)
    caution(`--aud "${excerpt(aud)}" is a single audience. For several, repeat the flag: ${flags}`);
  return aud;
}
