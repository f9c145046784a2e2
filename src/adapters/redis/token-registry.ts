import { heartbeatLifetime } from '../../domain/fleet/heartbeat.js';
import { liveExp } from '../../domain/model/registry-entry.js';
import type {
  AccountRights,
  EntryFilter,
  EntryName,
  FamilyOutcome,
  FamilyStep,
  FleetLook,
  GlobalRemoval,
  Heartbeat,
  KnownUserStatus,
  LegacyEntry,
  ListedEntry,
  ListOptions,
  OnSubjects,
  Registration,
  RegistrationOutcome,
  RegistryNode,
  Removal,
  RemovalOutcome,
  ScannedEntry,
  ScanOptions,
  ScanOutcome,
  StatusReader,
  StatusReaderOptions,
  SubjectLocation,
  TokenFamily,
  TokenRecord,
  TokenRegistry,
  WalkOptions,
} from '../../domain/ports/index.js';
import type { MarkStore } from '../../domain/ports/mark-store.js';
import { groupBy } from '../../domain/registry/group-entries.js';
import { OldestEntries } from '../../domain/registry/oldest-entries.js';
import { JwtctlError } from '../../domain/shared/errors.js';

import { readRedisRights } from './cluster/account-rights.js';
import { Batcher } from './cluster/batcher.js';
import { listNodes } from './cluster/list-nodes.js';
import { RedisConnection, type RedisOptions } from './cluster/redis-connection.js';
import type { Args } from './cluster/script.js';
import { keyspace, parseLegacyEntry, statusScore } from './keyspace.js';
import { redisMarkStore } from './mark-store.js';
import { NAMED, SET_STATUS } from './scripts/index.js';
import type { RegistrySession } from './session.js';
import { advanceFamily, familyPages, startGrace } from './subject/families.js';
import { withLastSeen } from './subject/last-seen.js';
import { SubjectReader } from './subject/reader.js';
import { type RegistrationOptions, registerInTurn } from './subject/register-entries.js';
import { removeEntries } from './subject/remove-exact.js';
import { readScores, statusMembers, storedStatus } from './subject/scores.js';
import { readStart } from './subject/server-start.js';
import { RedisStatusReader } from './verifier/status-reader.js';
import { deregister, readFleet, report } from './verifier-roster.js';
import { removeEverywhere, removeFromSubject } from './walk/remove-everywhere.js';
import { scan } from './walk/scan-registry.js';
import { replyCode } from './wire/redis-errors.js';
import { outcomeIn, textsOrNullsIn } from './wire/reply-shapes.js';

export interface RedisTokenRegistryOptions extends RedisOptions {
  prefix: string;
  /** How long after its `exp` an entry is kept. */
  clockToleranceSeconds: number;
  /** With it, the registry stores when each token was last seen, and idle tokens do not count as live. */
  idleTimeoutSeconds?: number | null | undefined;
}

export function openRedisTokenRegistry(options: RedisTokenRegistryOptions): {
  registry: RedisTokenRegistry;
  close(): Promise<void>;
} {
  const connection = new RedisConnection(options);
  return { registry: new RedisTokenRegistry(connection, options), close: () => connection.close() };
}

/** Keeps one sorted set per subject: see {@link Keyspace}. Throws the errors of {@link RedisConnection}. */
export class RedisTokenRegistry implements TokenRegistry {
  readonly backend: 'redis-cluster' | 'redis';
  readonly prefix: string;
  readonly marks: MarkStore;
  readonly #session: RegistrySession;
  readonly #tolerance: number;
  readonly idleTimeoutSeconds: number | null;

  constructor(
    connection: RedisConnection,
    options: Pick<RedisTokenRegistryOptions, 'prefix' | 'clockToleranceSeconds' | 'idleTimeoutSeconds'>,
  ) {
    this.backend = connection.mode === 'cluster' ? 'redis-cluster' : 'redis';
    this.prefix = options.prefix;
    this.#session = { connection, keyspace: keyspace(options.prefix), batcher: new Batcher(connection) };
    this.#tolerance = options.clockToleranceSeconds;
    this.idleTimeoutSeconds = options.idleTimeoutSeconds ?? null;
    this.marks = redisMarkStore(this.#session);
  }

  accountRights(): Promise<AccountRights> {
    const { connection } = this.#session;
    const { username } = connection.options;
    return readRedisRights(connection, { username, prefix: this.prefix });
  }

  /** Sends one pipeline per master. If a master fails, only its own subjects fail. */
  async registerMany(registrations: readonly Registration[]): Promise<RegistrationOutcome[]> {
    const outcomes = new Map<string, Iterator<RegistrationOutcome>>();
    await allSettled(
      [...groupBy(registrations, ({ sub }) => sub)].map(async ([sub, own]) => {
        const outcome = await ownFailure(() => registerInTurn(this.#session, own, this.#registration));
        outcomes.set(sub, (outcome instanceof JwtctlError ? own.map(() => outcome) : outcome).values());
      }),
    );
    return registrations.map(({ sub }) => outcomes.get(sub)?.next().value);
  }

  advanceFamilies(steps: readonly FamilyStep[]): Promise<Array<FamilyOutcome | JwtctlError>> {
    return allSettled(
      steps.map((step) => ownFailure(() => advanceFamily(this.#session, step, this.#registration))),
    );
  }

  async startGrace(steps: ReadonlyArray<{ sub: string; jti: string }>): Promise<void> {
    await allSettled(steps.map((step) => startGrace(this.#session, step)));
  }

  familyPages(sub: string, now: number): AsyncIterable<TokenFamily[]> {
    return familyPages(this.#session, sub, now - this.#tolerance);
  }

  async tokenStatus(
    sub: string,
    entry: { jti: string; keyId: number; iat: number },
    now: number,
  ): Promise<TokenRecord> {
    const members = statusMembers(entry, this.idleTimeoutSeconds !== null);
    const keys = this.#session.keyspace.keysOf(sub);
    const { exp, user, lastSeen } = storedStatus(await readScores(this.#session, keys, members));
    const current = user !== null && user.until > now ? user : null;
    const isIdle = lastSeen !== undefined && now - lastSeen >= (this.idleTimeoutSeconds ?? 0);
    const serverStartedAt = isIdle ? await readStart(this.#session, keys) : undefined;
    return { exp: liveExp(exp, now, this.#tolerance), user: current, lastSeen, serverStartedAt };
  }

  async findLegacyEntry(sub: string, id: string): Promise<LegacyEntry | null> {
    const { meta, slot } = this.#session.keyspace.keysOf(sub);
    const commands = [['hmget', meta, id] as const];
    const [reply] = (await this.#session.batcher.send({ slot, commands })).replies;
    if (replyCode(reply) === 'WRONGTYPE') return null;
    const [entry] = this.#session.connection.unwrap(reply, (given) => textsOrNullsIn(given, 1));
    return parseLegacyEntry(entry ?? '');
  }

  openStatusReader(options: StatusReaderOptions): StatusReader {
    return new RedisStatusReader(this.#session, {
      ...options,
      tolerance: this.#tolerance,
      recordsUse: this.idleTimeoutSeconds !== null,
    });
  }

  async list(sub: string, now: number, options: ListOptions = {}): Promise<ListedEntry[]> {
    const readOptions = { horizon: now - this.#tolerance, withDetails: true, isNamed: true };
    const reader = new SubjectReader(this.#session, readOptions);
    const keys = this.#session.keyspace.keysOf(sub);
    const oldest = new OldestEntries<ScannedEntry>(sub, options);
    for await (const page of reader.pages({ sub, ...keys })) oldest.add(page);
    const entries = oldest.list();
    return this.idleTimeoutSeconds === null ? entries : withLastSeen(this.#session, keys, entries);
  }

  async setUserStatus(
    sub: string,
    user: KnownUserStatus,
    now: number,
    replaces: number | null = null,
  ): Promise<number | null> {
    const { entries, meta, slot } = this.#session.keyspace.keysOf(sub);
    const args = this.#timed(now, [statusScore(user), user.version, replaces ?? '']);
    const request = { slot, script: SET_STATUS, keys: [entries, meta], args };
    const [, kept] = await this.#session.batcher.read(request, outcomeIn);
    return Number(kept) > 0 ? Number(kept) : null;
  }

  async remove(sub: string, filter: EntryFilter, now: number): Promise<Removal> {
    const args = this.#timed(now, filterArguments(filter));
    return removeFromSubject(this.#session, sub, args);
  }

  removeEverywhere(filter: EntryFilter, options: WalkOptions): Promise<GlobalRemoval> {
    return removeEverywhere(this.#session, this.#timed(options.now, filterArguments(filter)), options);
  }

  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome> {
    return removeEntries(this.#session, subjects, this.#timed(now, []));
  }

  scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome> {
    return scan(this.#session, onSubjects, { ...options, tolerance: this.#tolerance });
  }

  async locate(sub: string): Promise<SubjectLocation> {
    const { connection, keyspace } = this.#session;
    await connection.ready();
    const { slot } = keyspace.keysOf(sub);
    return {
      slot: this.backend === 'redis-cluster' ? slot : null,
      node: connection.ownerName(slot) ?? null,
    };
  }

  nodes(): Promise<RegistryNode[]> {
    return listNodes(this.#session.connection);
  }

  report(heartbeat: Heartbeat): Promise<void> {
    return report(this.#session, heartbeat, this.#tolerance);
  }

  get heartbeatLifetimeSeconds(): number {
    return heartbeatLifetime(this.#tolerance);
  }

  deregister(id: string): Promise<void> {
    return deregister(this.#session, id);
  }

  fleet(): Promise<FleetLook> {
    return readFleet(this.#session);
  }

  get #registration(): RegistrationOptions {
    return { tolerance: this.#tolerance, idleTimeoutSeconds: this.idleTimeoutSeconds };
  }

  /** Prepends the times that every script takes: see `includes/entries.lua`. */
  #timed(now: number, args: Args): Array<string | number> {
    return [now - this.#tolerance, this.#tolerance, ...args];
  }
}

/** In the order of ARGV in `includes/matching.lua`. */
function filterArguments({
  jti,
  families,
  keyId,
  issuedBefore,
  familiesOnly,
  except,
}: EntryFilter): Array<string | number> {
  const kind = jti !== undefined ? NAMED.JTI : families !== undefined ? NAMED.FAMILIES : 0;
  const others = [keyId?.toString(36) ?? '', issuedBefore ?? '', familiesOnly === true ? 1 : 0, except ?? ''];
  return [kind, jti ?? families?.join('') ?? '', ...others];
}

/** Returns a failure of one subject, which does not concern the others. */
async function ownFailure<T>(work: () => Promise<T>): Promise<T | JwtctlError> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    if (error.kind !== 'unavailable' && error.code !== 'ERR_REDIS_WRONG_TYPE') throw error;
    return error;
  }
}

/** Waits for all of them, even if one fails. */
async function allSettled<T>(works: ReadonlyArray<Promise<T>>): Promise<T[]> {
  return (await Promise.allSettled(works)).map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
