import { type CompactJws, parseJsonObject } from '../jose/jws.js';
import { toVerificationKey } from '../jose/verification-key.js';
import { isNamedBy } from '../model/family.js';
import { isJti } from '../model/jti.js';
import { isLegacyId, legacyId } from '../model/legacy-id.js';
import type { SigningKey } from '../model/signing-key.js';
import { subjectFault } from '../model/subject.js';
import type { ListedEntry, SecurityEvent } from '../ports/index.js';
import { isComplete, legacySubject } from './check-claims.js';
import { checkKey, parseJws } from './check-jws.js';
import type { Verification } from './verify.js';

/** What a token says about itself, verified or not. */
export interface TokenClaims {
  payload: Record<string, unknown>;
  /** Null without a usable `sub`. */
  sub: string | null;
  /** 0 if the token has none. */
  iat: number;
  exp: number;
  /** The names under which the registry may have the token, the likelier first. */
  jtis: string[];
}

export function readClaims(
  { payload: bytes, signingInput }: CompactJws,
  acceptsLegacy: boolean,
): TokenClaims {
  const payload = parseJsonObject(bytes) ?? {};
  const { iat, exp, jti } = payload;
  const sub = legacySubject(payload.sub);
  const id = legacyId(signingInput);
  const own = isJti(jti) && !isLegacyId(jti) ? [jti] : [];
  return {
    payload,
    sub: typeof sub === 'string' && subjectFault(sub) === null ? sub : null,
    iat: typeof iat === 'number' ? Math.ceil(iat) : 0,
    exp: typeof exp === 'number' ? Math.floor(exp) : 0,
    jtis: isComplete(payload) || !acceptsLegacy ? [...own, id] : [id, ...own],
  };
}

/** Returns the name under which the registry or the security log has the token; else the likelier one. */
export function chooseJti(
  { jtis }: Pick<TokenClaims, 'jtis'>,
  { result }: Pick<Verification, 'result'>,
  entries: readonly ListedEntry[],
  events: readonly SecurityEvent[],
): { jti: string; isFound: boolean } {
  if (result.active) return { jti: result.payload.jti, isFound: true };
  const isFound = (name: string) =>
    entries.some(({ jti }) => jti === name) || events.some(({ jti }) => jti !== null && isNamedBy(name, jti));
  // No other token has this legacy ID, but another may have the same jti.
  const [likelier = ''] = jtis;
  const found = jtis.find((name) => isLegacyId(name) && isFound(name)) ?? jtis.find(isFound);
  return { jti: found ?? likelier, isFound: found !== undefined };
}

/** Returns the key that the token or its entry names, or else the one that made the signature, whatever its state. */
export async function findTokenKey(
  token: string,
  { kid, jtis }: { kid: unknown; jtis: readonly string[] },
  keys: readonly SigningKey[],
  entries: readonly ListedEntry[],
): Promise<SigningKey | null> {
  const named = keys.find((key) => key.kid === kid);
  if (named !== undefined) return named;
  const entry = entries.find(({ jti }) => isLegacyId(jti) && jtis.includes(jti));
  const ofEntry = keys.find(({ id }) => id === entry?.keyId);
  if (ofEntry !== undefined) return ofEntry;
  const jws = parseJws(token);
  if ('active' in jws) return null;
  for (const key of keys)
    if ((await checkKey(jws, toVerificationKey(key), { anyState: true })) === null) return key;
  return null;
}
