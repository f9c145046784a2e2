import { publicJwk } from '../jose/jwk-set.js';
import type { SigningKey } from '../model/signing-key.js';
import type { PublishedKeys } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/** What `keys.publishUrl` shows of a key. */
export interface Publication {
  isShown: boolean;
  /** Why it does not count as shown; null if it does, or if there is no URL to ask. */
  problem: string | null;
  /** Set if the URL did not answer. */
  failure: JwtctlError | null;
}

/** Without `keys.publishUrl`, the publish lead is enough. */
export const NOT_CHECKED: Publication = { isShown: true, problem: null, failure: null };

/** Asks for each answer, because one stale cache is enough for refused tokens. */
export async function checkPublication(
  { url, fetchAll }: PublishedKeys,
  key: SigningKey,
): Promise<Publication> {
  try {
    const answers = await fetchAll();
    const without = answers.filter((keys) => !keys.some((jwk) => isSameKey(jwk, key))).length;
    if (without === 0) return NOT_CHECKED;
    const problem = `${url} does not show it: ${without} of ${answers.length} answers lacked it`;
    return { isShown: false, problem, failure: null };
  } catch (failure) {
    if (!(failure instanceof JwtctlError) || failure.kind !== 'unavailable') throw failure;
    return { isShown: false, problem: failure.message, failure };
  }
}

/** Another key under the same `kid` would refuse its tokens. */
function isSameKey(jwk: unknown, key: SigningKey): boolean {
  if (typeof jwk !== 'object' || jwk === null) return false;
  const found = jwk as Record<string, unknown>;
  const { kty, kid, n, e } = publicJwk(key);
  return found.kid === kid && found.kty === kty && found.n === n && found.e === e;
}
