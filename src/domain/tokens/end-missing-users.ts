import type { EventPolicy } from '../model/lifetime.js';
import type { User } from '../ports/index.js';
import type { JwtctlError } from '../shared/errors.js';
import { endMany, type FamilyEndPorts, type SubjectEnd } from './end-family.js';
import type { Draft } from './issue-drafts.js';

/**
 * Ends the tokens and sessions of subjects whose session is refreshed while they have no user, so that a later user with
 * the same name inherits none. Not every user directory records removals.
 * @returns why the sessions of a subject could not be ended
 */
export function endMissingUsers(
  ports: FamilyEndPorts,
  policy: EventPolicy,
  drafts: readonly Draft[],
  users: ReadonlyMap<string, User>,
  /** A time before the users were read: a user who was added since keeps what was issued since. */
  issuedBefore: number,
): Promise<Map<string, JwtctlError>> {
  const missing = drafts.filter(({ last, request }) => last !== undefined && !users.has(request.sub));
  const subjects = new Map(missing.map(({ request: { sub }, actor }) => [sub, actor]));
  const endOf = (sub: string, actor: string | undefined): SubjectEnd => ({
    ...{ sub, filter: { issuedBefore }, target: sub, actor },
    event: { type: 'subject_revoked', sub, issuedBefore },
    ...{ action: 'token.refresh', outcome: 'no user', reason: 'The user does not exist.' },
  });
  return endMany(ports, policy, new Map([...subjects].map(([sub, actor]) => [sub, endOf(sub, actor)])));
}
