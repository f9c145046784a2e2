import { typeName } from '../shared/describe-value.js';
import { durationOrNull } from '../shared/duration.js';
import { nearest } from '../shared/nearest.js';
import { excerpt } from '../shared/text.js';

type ClaimValue = string | number | boolean;

/** What a request demands of its token, in addition to the four checks. Every member must be met. */
export interface RequestPolicy {
  /** The `aud` contains one of these. */
  readonly aud?: readonly string[];
  /** The token has all of these scopes. */
  readonly scope?: readonly string[];
  /** Each claim has one of these values, or is an array with one of them. */
  readonly claims?: Readonly<Record<string, readonly ClaimValue[]>>;
  /** The longest time since the login, in seconds. */
  readonly maxAge?: number;
}

export interface RequestPolicyInput {
  readonly aud?: string | readonly string[];
  readonly scope?: string | readonly string[];
  readonly claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>>;
  readonly maxAge?: number | string;
}

/** Why a policy cannot be used. The message begins with the place of the wrong member. */
export class PolicyProblem extends Error {}

const MEMBERS = ['aud', 'scope', 'claims', 'maxAge'] as const;

/** A member without a value is refused, because its author meant to demand something. @throws PolicyProblem */
export function readRequestPolicy(raw: unknown, place: string): RequestPolicy {
  if (!isMap(raw))
    throw new PolicyProblem(`${place} is ${typeName(raw)}; expected a map with ${MEMBERS.join(', ')}`);
  for (const member of Object.keys(raw)) assertMember(member, place);
  const { aud, scope, claims, maxAge } = raw;
  const wrong = (member: string, expected: string) =>
    new PolicyProblem(`${place}.${member} cannot have this value; expected ${expected}`);
  const policy: RequestPolicy = {
    ...('aud' in raw && { aud: textsOf(aud) ?? fail(wrong('aud', 'an audience or a list of them')) }),
    ...('scope' in raw && { scope: scopesOf(scope) ?? fail(wrong('scope', 'a list of scopes')) }),
    ...('claims' in raw && { claims: claimsOf(claims) ?? fail(wrong('claims', CLAIMS)) }),
    ...('maxAge' in raw && {
      maxAge: durationOrNull(maxAge) ?? fail(wrong('maxAge', 'a duration such as 15m')),
    }),
  };
  if (Object.keys(policy).length === 0)
    throw new PolicyProblem(`${place} demands nothing; expected at least one of ${MEMBERS.join(', ')}`);
  return policy;
}

const CLAIMS = 'a map from claims to a text, number, or boolean, or to a list of them';

function assertMember(member: string, place: string): void {
  if ((MEMBERS as readonly string[]).includes(member)) return;
  const meant = nearest(member, MEMBERS);
  const hint = meant === null ? `expected ${MEMBERS.join(', ')}` : `did you mean ${meant}?`;
  throw new PolicyProblem(`${place} has the unknown member ${excerpt(member)}; ${hint}`);
}

function textsOf(raw: unknown): readonly string[] | null {
  const texts = [raw].flat();
  return texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== '')
    ? (texts as string[])
    : null;
}

/** Also takes the text of a `scope` claim. A scope has the characters of RFC 6749 §3.3. */
function scopesOf(raw: unknown): readonly string[] | null {
  const texts = textsOf(typeof raw === 'string' ? raw.split(' ') : raw);
  return texts?.every((text) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text)) ? texts : null;
}

function claimsOf(raw: unknown): RequestPolicy['claims'] | null {
  if (!isMap(raw)) return null;
  const entries = Object.entries(raw).map(([claim, value]) => [claim, [value].flat()] as const);
  const isUsable = entries.every(([, values]) => values.length > 0 && values.every(isClaimValue));
  return entries.length > 0 && isUsable
    ? (Object.fromEntries(entries) as unknown as RequestPolicy['claims'])
    : null;
}

/** Larger integers may stand for any of their neighbors. */
function isClaimValue(value: unknown): value is ClaimValue {
  if (typeof value === 'number') return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  return typeof value === 'string' || typeof value === 'boolean';
}

function isMap(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}

function fail(problem: PolicyProblem): never {
  throw problem;
}
