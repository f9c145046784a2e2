import { parseJsonObject } from '../../../domain/jose/jws.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { assertExactNumbers } from '../../../domain/shared/json-numbers.js';
import { excerpt, fileNameShown } from '../../../domain/shared/text.js';
import type { Invocation } from '../../invocation.js';

/** Merges `--claims` and `--claim`. The latter takes precedence. */
export async function parseClaims(
  invocation: Invocation,
  flags: { claim?: string[]; claims?: string },
): Promise<Record<string, unknown>> {
  const claims = flags.claims === undefined ? {} : await readClaims(invocation, flags.claims);
  for (const text of flags.claim ?? []) {
    const separator = text.indexOf('=');
    if (separator < 1) {
      throw new JwtctlError('ERR_FLAG_INVALID', 'Specify --claim as name=value.');
    }
    const name = text.slice(0, separator);
    Object.defineProperty(claims, name, {
      value: jsonOrText(name, text.slice(separator + 1)),
      enumerable: true,
      configurable: true,
    });
  }
  return claims;
}

async function readClaims(invocation: Invocation, file: string): Promise<Record<string, unknown>> {
  const text = await invocation.readFile(file);
  const claims = parseJsonObject(Buffer.from(text));
  const name = file === '-' ? 'standard input' : fileNameShown(file);
  if (claims === null) {
    throw new JwtctlError('ERR_CLAIMS_FILE_INVALID', `The claims in ${name} are not a JSON object.`);
  }
  assertExactNumbers(text, `The JSON in ${name}`);
  return claims;
}

function jsonOrText(name: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const asText =
    typeof value === 'number' ? (number: string) => `--claim '${excerpt(name)}="${number}"'` : undefined;
  assertExactNumbers(text, `The claim ${excerpt(name)}`, asText);
  return value;
}
