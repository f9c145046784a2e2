import { type CompactJws, parseJsonObject } from '../jose/jws.js';
import type { VerificationKey } from '../jose/verification-key.js';
import { legacyId } from '../model/legacy-id.js';
import { type Refusal, type RefusalCode, refuse } from '../model/refusal-codes.js';
import { isTrusted, type SigningAlgorithm } from '../model/signing-key.js';
import type { TokenStatusReader } from '../ports/index.js';
import { excerpt } from '../shared/text.js';
import { type ClaimsPolicy, checkLegacyClaims, type LegacyClaims } from '../verification/check-claims.js';
import { checkKey, parseJws } from '../verification/check-jws.js';
import { isLegacy, mayBeLegacy } from '../verification/check-legacy.js';
import { checkType } from '../verification/token-type.js';

export interface LegacyRegistration<Key> {
  key: Key;
  /** Its registry ID. */
  id: string;
  claims: LegacyClaims & { iat: number };
  /** The lowest `iat` that the token may have: see {@link LegacyToken}. */
  issuedAt: number;
}

/**
 * Checks a token that {@link isLegacy}. Returns `refusal`, the result of the checks for other tokens, for any
 * other token.
 *
 * A token without `iat` may have been issued before any revocation, so its `issuedAt` is 0, even if it is
 * registered already.
 */
export async function checkLegacyRegistration<Key extends VerificationKey>(
  token: string,
  refusal: Refusal,
  { keys, registry }: { keys: readonly Key[]; registry: TokenStatusReader },
  policy: ClaimsPolicy,
  now: number,
): Promise<LegacyRegistration<Key> | Refusal> {
  if (!mayBeLegacy(refusal.error.code)) return refusal;
  const signed = await findLegacySigner(token, keys);
  if (signed === null) return refusal;
  if ('active' in signed) return signed;
  const type = checkType(signed.header, policy.acceptTypes);
  if (type !== null) return type;
  const checked = checkLegacyClaims(signed.payload, policy, now);
  if ('active' in checked) return checked;
  const { key, id } = signed;
  const { claims } = checked;
  const known = claims.iat === null ? await registry.findLegacyEntry(claims.sub, id) : null;
  const iat = claims.iat ?? known?.iat ?? now;
  return { key, id, claims: { ...claims, iat }, issuedAt: claims.iat ?? 0 };
}

/**
 * Finds the key that signed a legacy token: the one with its `kid`; if no key has it, the one whose public
 * key verifies the signature. Returns null for a token that is not legacy, or is no JWT.
 */
export async function findLegacySigner<Key extends VerificationKey>(
  token: string,
  keys: readonly Key[],
  { anyState = false } = {},
): Promise<LegacySigner<Key> | Refusal | null> {
  const jws = parseJws(token);
  if ('active' in jws) return null;
  const payload = parseJsonObject(jws.payload);
  if (payload === null) return null;
  const named = keys.find(({ kid }) => kid === jws.header.kid);
  if (!isLegacy(payload, { hasKey: named !== undefined })) return null;
  const key = await findSigner(jws, named === undefined ? keys : [named]);
  if ('active' in key) return key;
  if (!anyState && !isTrusted(key.state)) return (await checkKey(jws, key)) as Refusal;
  return { key, id: legacyId(jws.signingInput), header: jws.header, payload };
}

interface LegacySigner<Key> {
  key: Key;
  /** Its registry ID. */
  id: string;
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
}

/** Whether `--legacy` may register a token that was refused with `code`. Verifies nothing. */
export function looksLegacy(token: string, code: RefusalCode): boolean {
  const jws = parseJws(token);
  if ('active' in jws || !mayBeLegacy(code)) return false;
  const payload = parseJsonObject(jws.payload);
  // Every token needs an exp.
  return (
    payload !== null && payload.exp !== undefined && isLegacy(payload, { hasKey: code !== 'ERR_KEY_UNKNOWN' })
  );
}

const MOST_NAMED = 10;

/** Tries keys that are not trusted too, because their state is a better reason than a wrong signature. */
async function findSigner<Key extends VerificationKey>(
  jws: CompactJws & { alg: SigningAlgorithm },
  keys: readonly Key[],
): Promise<Key | Refusal> {
  let failure: Refusal | null = null;
  for (const key of keys) {
    const refusal = await checkKey(jws, key, { anyState: true });
    if (refusal === null) return key;
    failure = refusal;
  }
  if (keys.length === 1 && failure !== null) return failure;
  const tried = keys.filter(({ alg }) => alg === jws.alg).map(({ kid }) => excerpt(kid));
  if (tried.length === 0)
    return refuse('ERR_KEY_UNKNOWN', `No key signs with ${jws.alg}, so none can have signed the token.`);
  const names = [...tried.slice(0, MOST_NAMED), ...(tried.length > MOST_NAMED ? ['…'] : [])].join(', ');
  return refuse(
    'ERR_SIGNATURE_INVALID',
    `The signature was made by none of the keys for ${jws.alg} (${names}).`,
  );
}
