import { parseSubject } from '../model/subject.js';
import type { TokenMeta } from '../model/token-meta.js';
import { describeValue } from '../shared/describe-value.js';
import { formatDuration } from '../shared/duration.js';
import { JwtctlError } from '../shared/errors.js';
import { parseReason } from '../shared/text.js';

/** Who acts as the subject of a token (RFC 8693 §4.1), and why. The name is recorded, and not looked up. */
export interface Actor {
  sub: string;
  reason: string;
}

interface ActingRequest {
  act?: Actor | undefined;
  meta?: TokenMeta | undefined;
  refresh?: boolean | undefined;
  ttlSeconds?: number | undefined;
}

interface ActingPolicy {
  ttlSeconds: number;
  maxTtlSeconds: number;
  actMaxTtlSeconds: number;
}

/** @throws JwtctlError (usage) */
export function assertMayAct(
  { act, meta, refresh, ttlSeconds = 0 }: ActingRequest,
  policy: ActingPolicy,
): void {
  if (meta !== undefined && Object.hasOwn(meta, 'act'))
    throw new JwtctlError('ERR_META_INVALID', 'The meta name act is reserved for the operator of a token.');
  if (act === undefined) return;
  if (typeof act !== 'object' || act === null || typeof act.reason !== 'string') {
    const message = `The act is ${describeValue(act)}; expected the sub of an operator and a reason.`;
    throw new JwtctlError('ERR_ACT_INVALID', message);
  }
  parseSubject(act.sub);
  parseReason(act.reason);
  if (refresh === true)
    throw new JwtctlError('ERR_ACT_INVALID', 'A token with an act cannot have a refresh token.');
  const longest = longestSeconds(policy);
  if (ttlSeconds <= longest) return;
  throw new JwtctlError(
    'ERR_TTL_TOO_LONG',
    `The lifetime is ${formatDuration(ttlSeconds)}; expected at most ${formatDuration(longest)} for a token with an act claim (\`token.actMaxTtl\`).`,
    { hint: 'Use a shorter lifetime, or raise `token.actMaxTtl`.' },
  );
}

export function lifetimeOf({ act, ttlSeconds }: ActingRequest, policy: ActingPolicy): number {
  if (ttlSeconds !== undefined) return ttlSeconds;
  return act === undefined ? policy.ttlSeconds : Math.min(policy.ttlSeconds, longestSeconds(policy));
}

/** The meta to store: it names the operator, so that lists can be filtered by it. */
export function metaOf({ act, meta }: ActingRequest): TokenMeta | undefined {
  return act === undefined ? meta : { ...meta, act: act.sub };
}

export function auditReasonOf({ act }: ActingRequest): string | null {
  return act === undefined ? null : `${act.sub}: ${act.reason}`.slice(0, MOST_CHARACTERS).toWellFormed();
}

/** The length of the column in the audit log. */
const MOST_CHARACTERS = 1_000;

function longestSeconds({ maxTtlSeconds, actMaxTtlSeconds }: ActingPolicy): number {
  return Math.min(maxTtlSeconds, actMaxTtlSeconds);
}
