import { heartbeatLifetime } from '../../domain/fleet/heartbeat.js';
import { liveExp } from '../../domain/model/registry-entry.js';
import type {
  EntryFilter,
  EntryName,
  FleetLook,
  GlobalRemoval,
  Heartbeat,
  KnownUserStatus,
  OnSubjects,
  Registration,
  RegistrationOptions,
  RegistryEntry,
  RegistryNode,
  Removal,
  RemovalOutcome,
  ScanOptions,
  ScanOutcome,
  StatusReader,
  StatusReaderOptions,
  TokenRegistry,
  WalkOptions,
} from '../../domain/ports/index.js';
import type { MarkStore } from '../../domain/ports/mark-store.js';
import { groupBy } from '../../domain/registry/group-entries.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { Batcher } from './cluster/batcher.js';
import { listNodes } from './cluster/list-nodes.js';
import { connectRedis, type RedisConnection, type RedisOptions } from './cluster/redis-connection.js';
import { deregister, readFleet, report } from './fleet.js';
import {
  cachedStatus,
  entryMember,
  type Keyspace,
  keyspace,
  STATUS_MEMBER,
  statusScore,
  VERSION_MEMBER,
} from './keyspace.js';
import { RedisMarkStore } from './marks.js';
import { SET_STATUS } from './scripts/index.js';
import type { WholeRegistry } from './session.js';
import { SubjectReader } from './subject/reader.js';
import { byAge, registerInTurn } from './subject/register.js';
import { removeEntries } from './subject/remove-exact.js';
import { readScores } from './subject/scores.js';
import { RedisStatusReader } from './verifier/status-reader.js';
import { removeEverywhere, removeFromSubject } from './walk/remove-everywhere.js';
import { scan } from './walk/scan-subjects.js';
import { foreignKey } from './wire/errors.js';

export interface RedisTokenRegistryOptions extends RedisOptions {
  /** What the names of all keys begin with, `jwt` for example. */
  prefix: string;
  /** How long after its `exp` an entry is still kept. */
  clockToleranceSeconds: number;
}

/**
 * The token registry in a Redis Cluster or in one Redis server. Nothing connects before the first use.
 *
 * @returns the registry, and what closes all of its connections
 */
export function openRedisTokenRegistry(options: RedisTokenRegistryOptions): {
  registry: RedisTokenRegistry;
  close(): Promise<void>;
} {
  const connection = connectRedis(options);
  return { registry: new RedisTokenRegistry(connection, options), close: () => connection.close() };
}

/** One sorted set per subject: see {@link Keyspace} for names and members. Its errors are those of {@link connectRedis}. */
export class RedisTokenRegistry implements TokenRegistry {
  readonly backend: 'redis-cluster' | 'redis';
  readonly prefix: string;
  readonly marks: MarkStore;
  readonly #connection: RedisConnection;
  readonly #batcher: Batcher;
  readonly #keyspace: Keyspace;
  readonly #tolerance: number;

  constructor(connection: RedisConnection, options: { prefix: string; clockToleranceSeconds: number }) {
    this.backend = connection.mode === 'cluster' ? 'redis-cluster' : 'redis';
    this.prefix = options.prefix;
    this.#connection = connection;
    this.#batcher = new Batcher(connection);
    this.#keyspace = keyspace(options.prefix);
    this.#tolerance = options.clockToleranceSeconds;
    this.marks = new RedisMarkStore(this.#whole());
  }

  async register(sub: string, entry: RegistryEntry, options: RegistrationOptions): Promise<RegistryEntry[]> {
    const gone = await registerInTurn(this.#whole(), [{ sub, entry, ...options }], this.#tolerance);
    if (gone === null) throw foreignKey(this.#keyspace.keysOf(sub).entries);
    return gone;
  }

  /** Sends all in one turn of the event loop: one pipeline per master. If a master fails, only its own subjects fail. */
  async registerMany(registrations: readonly Registration[]): Promise<Array<JwtctlError | null>> {
    const errors = new Map<string, JwtctlError>();
    const works = [...groupBy(registrations, ({ sub }) => sub)].map(async ([sub, own]) => {
      try {
        const gone = await registerInTurn(this.#whole(), own, this.#tolerance);
        if (gone === null) errors.set(sub, foreignKey(this.#keyspace.keysOf(sub).entries));
      } catch (error) {
        if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
        errors.set(sub, error);
      }
    });
    for (const outcome of await Promise.allSettled(works)) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    return registrations.map(({ sub }) => errors.get(sub) ?? null);
  }

  async tokenStatus(
    sub: string,
    entry: { jti: string; keyId: number; iat: number },
    now: number,
  ): Promise<{ exp: number | null; user: KnownUserStatus | null }> {
    const members = [entryMember(entry), STATUS_MEMBER, VERSION_MEMBER];
    const scores = await readScores(this.#whole(), this.#keyspace.keysOf(sub), members);
    const [exp = null, status = null, version = null] = scores;
    const user = cachedStatus(status, version);
    return {
      exp: liveExp(exp, now, this.#tolerance),
      user: user !== null && user.until > now ? user : null,
    };
  }

  openStatusReader(options: StatusReaderOptions): StatusReader {
    return new RedisStatusReader(this.#whole(), options);
  }

  async list(sub: string, now: number): Promise<Array<RegistryEntry & { label: string | null }>> {
    const reader = new SubjectReader(this.#whole(), {
      ...{ horizon: now - this.#tolerance, withDetails: true, isNamed: true },
    });
    return (await reader.list({ sub, ...this.#keyspace.keysOf(sub) })).sort(byAge);
  }

  async setUserStatus(
    sub: string,
    user: KnownUserStatus,
    now: number,
    replaces: number | null = null,
  ): Promise<number | null> {
    const { entries, labels, slot } = this.#keyspace.keysOf(sub);
    const args = this.#timed(now, [statusScore(user), user.version, replaces ?? '']);
    const { replies } = await this.#batcher.send({ slot, keys: [entries, labels], script: SET_STATUS, args });
    if (replies[0] instanceof Error) throw this.#connection.translate(replies[0]);
    const [, kept] = replies[0] as [number, string];
    return Number(kept) > 0 ? Number(kept) : null;
  }

  async remove(sub: string, filter: EntryFilter, now: number): Promise<Removal> {
    const args = this.#timed(now, filterArguments(filter));
    return removeFromSubject(this.#whole(), sub, args);
  }

  removeEverywhere(filter: EntryFilter, options: WalkOptions): Promise<GlobalRemoval> {
    return removeEverywhere(this.#whole(), this.#timed(options.now, filterArguments(filter)), options);
  }

  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome> {
    return removeEntries(this.#whole(), subjects, this.#timed(now, []));
  }

  scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome> {
    return scan(this.#whole(), onSubjects, { ...options, tolerance: this.#tolerance });
  }

  nodes(): Promise<RegistryNode[]> {
    return listNodes(this.#connection);
  }

  report(heartbeat: Heartbeat): Promise<void> {
    return report(this.#whole(), heartbeat, this.#tolerance);
  }

  get heartbeatLifetimeSeconds(): number {
    return heartbeatLifetime(this.#tolerance);
  }

  deregister(id: string): Promise<void> {
    return deregister(this.#whole(), id);
  }

  fleet(): Promise<FleetLook> {
    return readFleet(this.#whole());
  }

  #whole(): WholeRegistry {
    return { connection: this.#connection, batcher: this.#batcher, keyspace: this.#keyspace };
  }

  /** What every script is told of the time: see {@link REGISTER}. */
  #timed(now: number, args: ReadonlyArray<string | number>): Array<string | number> {
    return [now - this.#tolerance, this.#tolerance, ...args];
  }
}

/** jti given or not, jti, key id in base 36, issuedBefore: see {@link REMOVE}. */
function filterArguments({ jti, keyId, issuedBefore }: EntryFilter): Array<string | number> {
  return [jti === undefined ? 0 : 1, jti ?? '', keyId?.toString(36) ?? '', issuedBefore ?? ''];
}
