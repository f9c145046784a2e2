import { parseJsonObject } from '../../../domain/jose/jws.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';

/** Merges `--claims` and `--claim`. The latter takes precedence. */
export async function parseClaims(
  invocation: Invocation,
  flags: { claim?: string[]; claims?: string },
): Promise<Record<string, unknown>> {
  const claims = flags.claims === undefined ? {} : await readClaims(invocation, flags.claims);
  for (const text of flags.claim ?? []) {
    const separator = text.indexOf('=');
    if (separator < 1) throw new JwtctlError('ERR_FLAG_INVALID', 'Specify --claim as name=value.');
    Object.defineProperty(claims, text.slice(0, separator), {
      value: jsonOrText(text.slice(separator + 1)),
      enumerable: true,
      configurable: true,
    });
  }
  return claims;
}

async function readClaims(invocation: Invocation, file: string): Promise<Record<string, unknown>> {
  const claims = parseJsonObject(Buffer.from(await invocation.readFile(file)));
  if (claims !== null) return claims;
  const name = file === '-' ? 'standard input' : file;
  throw new JwtctlError('ERR_CLAIMS_FILE_INVALID', `The claims in ${name} are not a JSON object.`);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
