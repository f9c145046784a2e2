import { toVerificationKey } from '../jose/verification-key.js';
import { isJti } from '../model/jti.js';
import { type Refusal, refuse } from '../model/refusal-codes.js';
import { subjectFault } from '../model/subject.js';
import type { Database } from '../ports/index.js';
import { legacySubject } from '../verification/check-claims.js';
import { checkJws } from '../verification/check-jws.js';
import { findLegacySigner } from './register-legacy.js';

export interface IdentifiedToken {
  sub: string;
  jti: string;
  /** Not checked, except for the signature. */
  payload: Record<string, unknown>;
}

/** Returns the IDs of a token that a known key signed, in any state of the key. Checks no other claim. */
export async function identifyToken(
  { keys: store }: Pick<Database, 'keys'>,
  token: string,
): Promise<IdentifiedToken | Refusal> {
  // A damaged row of another key must not block a revocation.
  const { keys } = await store.snapshot(() => {});
  const known = keys.map((key) => toVerificationKey(key));
  const legacy = await findLegacySigner(token, known, { anyState: true });
  if (legacy !== null && !('active' in legacy)) {
    const sub = legacySubject(legacy.payload.sub);
    if (isSubject(sub)) return { sub, jti: legacy.id, payload: legacy.payload };
  }
  const findKey = (kid: string) => known.find((key) => key.kid === kid);
  const signed = await checkJws(token, { findKey }, null);
  if ('active' in signed) return signed;
  const { payload } = signed;
  const { sub, jti } = payload;
  if (isSubject(sub) && isJti(jti)) return { sub, jti, payload };
  return refuse('ERR_CLAIM_INVALID', 'The token has no usable sub or jti.');
}

function isSubject(value: unknown): value is string {
  return typeof value === 'string' && subjectFault(value) === null;
}
