import { familyJti, familyOf } from '../model/family.js';
import type { EventPolicy, LifetimePolicy } from '../model/lifetime.js';
import { matches } from '../model/registry-entry.js';
import type { SigningKey } from '../model/signing-key.js';
import type {
  Administration,
  EntryFilter,
  FamilyStore,
  GlobalRemoval,
  RegistryEntry,
  Removal,
  TokenFamily,
  WalkControl,
} from '../ports/index.js';
import { countMatching } from '../registry/count-matching.js';
import { countSubjectTokens } from '../registry/count-subject.js';
import { EntriesAhead, nearestOf } from '../registry/entries-ahead.js';
import type { NamedEntry } from '../registry/group-entries.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { MOST_NAMED, type NamedToken, nameTokens } from '../security-log/name-tokens.js';
import { afterRecord, latestIssued } from '../security-log/record.js';
import { JwtctlError } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import { endFamily } from './end-family.js';
import { type End, recordEnds } from './record-ends.js';

export interface RevocationOutcome {
  revoked: number;
  /** Sessions of one subject that can no longer be refreshed. Not counted for tokens of all subjects. */
  sessions: number;
  /** 1 if a single token was given and had no entry. */
  alreadyGone: number;
  /** Number of replicas that confirmed, the smallest of all masters. */
  replicasConfirmed: number;
  /** False if a part of the registry could not be reached. The revocation applies anyway. */
  complete: boolean;
  missed: string[];
  /** Live tokens of the subject that stay because they have no meta. Only of a revocation by meta. */
  withoutMeta?: number | undefined;
  eventId: number | null;
}

export interface RevocationOptions extends WalkControl {
  reason: string | null;
  dryRun: boolean;
}

/**
 * Ends one token; with a token of a session, the session, unless `keepsSession`. Records the event first, because a failover of
 * Redis may undo the removal.
 */
export async function revokeToken(
  ports: Administration,
  policy: EventPolicy,
  token: { sub: string; jti: string; keepsSession?: boolean },
  options: RevocationOptions,
): Promise<RevocationOutcome> {
  const { registry, clock } = ports;
  const now = clock.now();
  const family = token.keepsSession === true ? null : familyOf(token.jti);
  if (options.dryRun) {
    const filter = family === null ? { jti: token.jti } : { families: [family] };
    const isEnding = (entry: RegistryEntry) => matches(entry, filter);
    const { count } = await countSubjectTokens(registry, token.sub, now, isEnding);
    const isSession = (one: TokenFamily) => one.family === family;
    const sessions = family === null ? 0 : (await findFamilies(registry, token.sub, now, isSession)).length;
    return outcome({ revoked: count, sessions, alreadyGone: count + sessions === 0 ? 1 : 0 });
  }

  if (family !== null) {
    const end = { sub: token.sub, family, action: 'token.revoke', outcome: 'done', reason: options.reason };
    const { eventId, ...removal } = await endFamily(ports, policy, end);
    return tokenOutcome(removal, eventId);
  }
  const eventId = await record(ports, policy, options, {
    event: { type: 'token_revoked', sub: token.sub, jti: token.jti },
    target: `${token.sub} ${token.jti}`,
  });
  return tokenOutcome(await afterRecord(() => registry.remove(token.sub, { jti: token.jti }, now)), eventId);
}

function tokenOutcome({ removed, families, replicasConfirmed }: Removal, eventId: number): RevocationOutcome {
  return outcome({
    revoked: removed,
    sessions: families,
    alreadyGone: removed + families === 0 ? 1 : 0,
    replicasConfirmed: replicasConfirmed ?? 0,
    eventId,
  });
}

export interface SubjectSelection {
  sub: string;
  /** Default: {@link latestIssued}, and tokens that are ahead */
  issuedBefore?: number | undefined;
  /** The `jti` of a token that stays, with its session. */
  except?: string | undefined;
}

/**
 * Ends a subject's tokens issued at or before `issuedBefore`, and the sessions that began by then with all of their
 * tokens.
 */
export async function revokeSubject(
  ports: Administration,
  policy: EventPolicy,
  { sub, issuedBefore, except: stays }: SubjectSelection,
  options: RevocationOptions,
): Promise<RevocationOutcome> {
  const { registry, clock } = ports;
  const now = clock.now();
  const except = stays === undefined ? undefined : (familyOf(stays) ?? stays);
  const ahead = new EntriesAhead(latestIssued(now, policy, null));
  const findSessions = async () =>
    issuedBefore === undefined ? [] : sessionsAcross(registry, sub, { issuedBefore, except }, now);
  const count = (sessions: readonly TokenFamily[]) => {
    const families = new Set(sessions.map(({ family }) => family));
    const isMatch = (entry: RegistryEntry) =>
      matches(entry, { issuedBefore, except }) || families.has(familyOf(entry.jti) ?? '');
    return countSubjectTokens(registry, sub, now, isMatch, ahead);
  };
  if (options.dryRun) return outcome({ revoked: (await count(await findSessions())).count });
  const until = issuedBefore ?? latestIssued(now, policy, await ifReachable(() => count([]), null));
  const at = clock.now();
  const recorded = await record(ports, policy, options, {
    at,
    event: { type: 'subject_revoked', sub, issuedBefore: until, ...(except === undefined ? {} : { except }) },
    target: except === undefined ? sub : `${sub} except ${except}`,
    named: ahead.nearest(),
  });
  // Listed only now: a refresh that misses the event has made its step before. A repetition finds the sessions only
  // while nothing is removed.
  const sessions = await afterRecord(findSessions, { what: SESSIONS_NOT_ENDED });
  const eventId = (await nameSessions(ports, policy, sub, sessions, { ...options, at })) ?? recorded;
  const findLeft = async () => (issuedBefore === undefined ? [] : familiesLeft(ports, { sub, except }, now));
  const left = await afterRecord(findLeft);
  // By name, because a removal without `issuedBefore` would also remove tokens that are issued meanwhile.
  const entries = ahead.entries();
  const families = new Set([
    ...sessions.map(({ family }) => family),
    ...left,
    ...nearestOf(entries).flatMap(({ jti }) => familyOf(jti) ?? []),
  ]);
  return afterRecord(async () => {
    const total = { revoked: 0, sessions: 0, replicasConfirmed: 0, eventId };
    const named = families.size > 0 ? [{ families: [...families] }] : [];
    const filters = [...named, { issuedBefore: until, except }];
    for (const filter of filters) {
      const { removed, families, replicasConfirmed } = await registry.remove(sub, filter, now);
      total.revoked += removed;
      total.sessions += families;
      total.replicasConfirmed = replicasConfirmed ?? total.replicasConfirmed;
    }
    total.revoked += await removeNamedEntries(registry, entries, now);
    return outcome(total);
  });
}

const SESSIONS_NOT_ENDED =
  'The revocation is recorded in the security log, and these sessions cannot be refreshed. But the access tokens that they got later stay valid, because the registry could not list the sessions';

/** Returns the last event. The time of the events leads to the audit row of the revocation: see `originOf`. */
async function nameSessions(
  { database }: Administration,
  policy: EventPolicy,
  sub: string,
  sessions: readonly TokenFamily[],
  { reason, at }: RevocationOptions & { at: number },
): Promise<number | null> {
  let last: number | null = null;
  for (let from = 0; from < sessions.length; from += MOST_NAMED) {
    const portion = sessions.slice(from, from + MOST_NAMED);
    const named = portion.map(({ family, counter, iat }) => ({ sub, jti: familyJti(family, counter), iat }));
    const { eventId } = await database.transaction(async ({ keys, securityLog }) => {
      const longest = await keys.longestLifetimes();
      return nameTokens({ securityLog }, policy, named, { longest, reason, at });
    });
    last = eventId ?? last;
  }
  return last;
}

/** Returns the sessions that began by `issuedBefore` and have a later access token, which names no such time. */
async function sessionsAcross(
  registry: Pick<FamilyStore, 'familyPages'>,
  sub: string,
  { issuedBefore, except }: { issuedBefore: number; except: string | undefined },
  now: number,
): Promise<TokenFamily[]> {
  const isAcross = ({ family, startedAt, iat }: TokenFamily) =>
    family !== except && startedAt <= issuedBefore && iat > issuedBefore;
  return findFamilies(registry, sub, now, isAcross).catch(noneOfWrongType);
}

/** Keeps only matching families in memory, and any number of them, because a revocation must find all. */
async function findFamilies(
  registry: Pick<FamilyStore, 'familyPages'>,
  sub: string,
  now: number,
  isMatch: (family: TokenFamily) => boolean,
): Promise<TokenFamily[]> {
  const found = new Map<string, TokenFamily>();
  for await (const page of registry.familyPages(sub, now))
    for (const family of page) if (isMatch(family)) found.set(family.family, family);
  return [...found.values()];
}

/** Returns the sessions that an event has ended, and whose entries are left because the registry failed halfway. */
async function familiesLeft(
  { registry, database }: Administration,
  { sub, except }: { sub: string; except: string | undefined },
  now: number,
): Promise<string[]> {
  const left = new Set<string>();
  const findEnded = async (parts: ReadonlyArray<{ entries: readonly RegistryEntry[] }>) => {
    const entries = parts.flatMap((part) => part.entries);
    const tokens = entries.filter(({ jti }) => familyOf(jti) !== null).map(({ jti }) => ({ sub, jti }));
    const events = tokens.length === 0 ? [] : await database.securityLog.findNaming(tokens);
    for (const { type, jti } of events)
      if (type === 'family_revoked' && jti !== null && jti !== except) left.add(jti);
  };
  await registry.scan(findEnded, { now, sub }).catch(noneOfWrongType);
  return [...left];
}

/** A key of the wrong type must not block a revocation. */
function noneOfWrongType(error: unknown): [] {
  if (!(error instanceof JwtctlError) || error.code !== 'ERR_REDIS_WRONG_TYPE') throw error;
  return [];
}

export interface GlobalSelection {
  key?: SigningKey | undefined;
  issuedBefore?: number | undefined;
}

export interface GlobalCount {
  matched: number;
  subjects: number;
  issuedBefore: number;
  /** Tokens that are issued after `issuedBefore`, by their `iat`. */
  ahead: NamedEntry[];
  complete: boolean;
  missed: string[];
}

/** Counts the tokens that {@link revokeGlobally} would end. */
export async function countGlobal(
  ports: Administration,
  policy: Pick<LifetimePolicy, 'clockToleranceSeconds'>,
  selection: GlobalSelection,
  control: WalkControl = {},
): Promise<GlobalCount> {
  const now = ports.clock.now();
  const ahead = new EntriesAhead(latestIssued(now, policy, null));
  const count = () => countMatching(ports.registry, filterOf(selection), { now, ...control }, ahead);
  const unseen = {
    matched: 0,
    subjects: 0,
    largestIat: null,
    complete: false,
    missed: ['the whole registry'],
  };
  const found = await ifReachable<Pick<GlobalRemoval, keyof typeof unseen>>(count, unseen);
  const seen = found.complete ? { latestIat: found.largestIat ?? now } : null;
  const issuedBefore = selection.issuedBefore ?? latestIssued(now, policy, seen);
  return { ...found, issuedBefore, ahead: ahead.entries() };
}

/** Ends tokens of all subjects. `issuedBefore` and `ahead` come from {@link countGlobal}. */
export async function revokeGlobally(
  ports: Administration,
  policy: EventPolicy,
  selection: GlobalSelection & Pick<GlobalCount, 'issuedBefore'> & Partial<Pick<GlobalCount, 'ahead'>>,
  options: RevocationOptions,
): Promise<RevocationOutcome> {
  const { key, issuedBefore, ahead = [] } = selection;
  const eventId = await record(ports, policy, options, {
    event:
      key === undefined
        ? { type: 'all_revoked', issuedBefore }
        : { type: 'kid_revoked', kid: key.kid, issuedBefore },
    target: key === undefined ? `issued before ${issuedBefore}` : key.kid,
    named: nearestOf(ahead),
  });
  const { registry, clock } = ports;
  const { removal, removedAhead } = await afterRecord(async () => {
    const { signal, onProgress } = options;
    // By name first, because the walk over the rest may take minutes. An unreachable master does not stop it.
    const removedAhead = await ifReachable(() => removeNamedEntries(registry, ahead, clock.now()), null);
    // Keeps to `issuedBefore`, because tokens that are issued meanwhile are not meant.
    const filter = filterOf({ key, issuedBefore });
    const removal = await registry.removeEverywhere(filter, { now: clock.now(), signal, onProgress });
    return { removal, removedAhead };
  });
  return {
    revoked: removal.removed + (removedAhead ?? 0),
    sessions: 0,
    alreadyGone: 0,
    replicasConfirmed: removal.replicasConfirmed ?? 0,
    complete: removal.complete && removedAhead !== null,
    missed: [...removal.missed, ...(removedAhead === null ? ['entries with an iat in the future'] : [])],
    eventId,
  };
}

/** Returns the ID of the event. */
function record(
  ports: Administration,
  policy: EventPolicy,
  { reason }: RevocationOptions,
  {
    event,
    target,
    named,
    at,
  }: Pick<End, 'event' | 'target'> & { named?: readonly NamedToken[]; at?: number },
): Promise<number> {
  return recordEnds(
    ports,
    policy,
    [{ event, target, action: 'token.revoke', outcome: 'done', reason }],
    named,
    at,
  );
}

function filterOf({ key, issuedBefore }: GlobalSelection): EntryFilter {
  return { keyId: key?.id, issuedBefore };
}

function outcome(counts: {
  revoked: number;
  sessions?: number;
  alreadyGone?: number;
  replicasConfirmed?: number;
  eventId?: number;
}): RevocationOutcome {
  return {
    sessions: 0,
    alreadyGone: 0,
    replicasConfirmed: 0,
    complete: true,
    missed: [],
    eventId: null,
    ...counts,
  };
}
