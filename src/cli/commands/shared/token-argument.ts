import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';
import { type PastedToken, pastedToken } from './pasted-token.js';

/** Reads a TOKEN argument. A note says what was removed around the token. */
export async function readPastedToken(invocation: Invocation, value: string): Promise<PastedToken> {
  const pasted = pastedToken(await invocation.readText(value));
  const { removed, fault } = pasted;
  if (fault === null && removed.length > 0) invocation.note(`The token was read without ${listed(removed)}.`);
  return pasted;
}

/** @throws JwtctlError `ERR_TOKEN_MALFORMED` (refused) */
export async function readToken(invocation: Invocation, value: string): Promise<string> {
  const { token, fault } = await readPastedToken(invocation, value);
  if (fault !== null) throw notToken(fault);
  return token;
}

export function notToken(fault: string): JwtctlError {
  return new JwtctlError('ERR_TOKEN_MALFORMED', `This is not a JWT: ${fault}.`);
}

function listed(words: readonly string[]): string {
  if (words.length < 3) return words.join(' and ');
  return `${words.slice(0, -1).join(', ')}, and ${words.at(-1)}`;
}
