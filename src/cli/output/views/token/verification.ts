import { CHECKS, type CheckName, checkOf } from '../../../../domain/model/refusal-codes.js';
import type { Verification } from '../../../../domain/verification/verify.js';
import type { JsonObject, View } from '../../view.js';
import { claimFields, plainText } from '../tokens.js';
import { type CheckLine, checkFields, timeText } from './checks.js';

interface ShownVerification extends Verification {
  /** The Claims Set, for the facts; null if it cannot be read. */
  claims: Record<string, unknown> | null;
  /** False with `users.source: off`. */
  requiresUser: boolean;
}

export function verification(
  { result, kid, passed, claims, requiresUser }: ShownVerification,
  now: number,
): View {
  const refused = result.active ? null : checkOf(result.error.code);
  const line = (name: CheckName): CheckLine => {
    if (passed.includes(name))
      return { verdict: 'passed', fact: factOf(name, { kid, claims, requiresUser, now }) };
    if (name !== refused || result.active) return { verdict: 'not_checked', fact: null };
    return { verdict: 'refused', fact: result.error.message };
  };
  const checks = checkFields(
    Object.fromEntries(CHECKS.map((name) => [name, line(name)])) as Record<CheckName, CheckLine>,
  );
  if (!result.active) {
    const { error, reason } = result;
    return {
      shape: 'record',
      data: { active: false, error: { code: error.code, message: error.message }, reason },
      id: error.code,
      fields: [['active', { text: 'no', tone: 'bad' }], ['reason', reason], ['code', error.code], ...checks],
    };
  }
  return {
    shape: 'record',
    data: { active: true, kid, header: result.header as JsonObject, payload: result.payload as JsonObject },
    id: result.payload.jti,
    fields: [
      ['active', { text: 'yes', tone: 'good' }],
      ...checks,
      ['kid', String(kid)],
      ...claimFields(result.payload),
    ],
  };
}

type Known = Pick<ShownVerification, 'kid' | 'claims' | 'requiresUser'> & { now: number };

/** Returns the fact behind a check that the token passed. */
function factOf(name: CheckName, { kid, claims, requiresUser, now }: Known): string {
  switch (name) {
    case 'signature':
      return kid === null ? 'made with a known key' : `made with key ${kid}`;
    case 'claims':
      return typeof claims?.exp === 'number' ? expiryFact(Math.floor(claims.exp), now) : 'as expected';
    case 'registry':
      return 'registered, not revoked';
    case 'user':
      return requiresUser ? `${plainText(claims?.sub)} is enabled` : 'not required (users.source: off)';
    default:
      return name satisfies never;
  }
}

function expiryFact(exp: number, now: number): string {
  const time = timeText(exp, now);
  return exp > now ? `expires ${time}` : `expired ${time}, within the clock tolerance`;
}
