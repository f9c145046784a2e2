import type { Kysely, SelectQueryBuilder } from 'kysely';
import { heartbeatLifetime } from '../../../domain/fleet/heartbeat.js';
import { liveExp } from '../../../domain/model/registry-entry.js';
import { parseMeta } from '../../../domain/model/token-meta.js';
import { MOST_LISTED } from '../../../domain/ports/entry-store.js';
import type {
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
  ScanOptions,
  ScanOutcome,
  StatusReader,
  StatusReaderOptions,
  SubjectLocation,
  TokenFamily,
  TokenRecord,
  TokenRegistry,
  WalkOptions,
} from '../../../domain/ports/index.js';
import { LEFT_BY_INTERRUPTION } from '../../../domain/ports/registry-scanner.js';
import { tooLarge } from '../../../domain/registry/oldest-entries.js';
import { tokenLimit } from '../../../domain/registry/token-limit.js';
import type { Schema, SqlExecutor } from '../schema.js';
import { retryConflicts } from '../stores/conflicts.js';
import { advanceFamily, familyPages, removeFamilies, startGrace } from './families.js';
import {
  addEntry,
  cacheStatus,
  forgetUsersWithoutEntries,
  isNamed,
  matches,
  toEntry,
} from './registry-rows.js';
import { scanPages } from './scan.js';
import { readStatus, SqliteStatusReader } from './status-reader.js';
import { deregister, readFleet, report } from './verifier-roster.js';

export interface SqliteRegistryOptions {
  /** The file's name, shown as the name of the node. */
  file: string;
  clockToleranceSeconds: number;
  /** With it, the registry stores when each token was last seen, and idle tokens do not count as live. */
  idleTimeoutSeconds?: number | null | undefined;
}

export class SqliteTokenRegistry implements TokenRegistry {
  readonly backend = 'sqlite';
  readonly prefix = '';
  readonly marks = null;
  readonly #db: Kysely<Schema>;
  readonly #file: string;
  readonly #tolerance: number;
  readonly idleTimeoutSeconds: number | null;
  readonly heartbeatLifetimeSeconds: number;

  constructor(db: Kysely<Schema>, options: SqliteRegistryOptions) {
    this.#db = db;
    this.#file = options.file;
    this.#tolerance = options.clockToleranceSeconds;
    this.idleTimeoutSeconds = options.idleTimeoutSeconds ?? null;
    this.heartbeatLifetimeSeconds = heartbeatLifetime(this.#tolerance);
  }

  async registerMany(registrations: readonly Registration[]): Promise<RegistrationOutcome[]> {
    const [first] = registrations;
    if (first === undefined) return [];
    const idleTimeoutSeconds = this.idleTimeoutSeconds;
    return this.#write(first.now, async (db) => {
      const outcomes: RegistrationOutcome[] = [];
      for (const registration of registrations) {
        const outcome = await addEntry(db, registration, { idleTimeoutSeconds });
        outcomes.push(outcome === 'refused' ? tokenLimit(registration.sub, registration) : outcome);
      }
      return outcomes;
    });
  }

  advanceFamilies(steps: readonly FamilyStep[]): Promise<FamilyOutcome[]> {
    const [first] = steps;
    if (first === undefined) return Promise.resolve([]);
    const idleTimeoutSeconds = this.idleTimeoutSeconds;
    return this.#write(first.now, async (db) => {
      const outcomes: FamilyOutcome[] = [];
      for (const step of steps) outcomes.push(await advanceFamily(db, step, { idleTimeoutSeconds }));
      return outcomes;
    });
  }

  startGrace(steps: ReadonlyArray<{ sub: string; jti: string }>, now: number): Promise<void> {
    return this.#write(now, (db) => startGrace(db, steps, now));
  }

  familyPages(sub: string, now: number): AsyncIterable<TokenFamily[]> {
    return familyPages(this.#db, sub, now - this.#tolerance);
  }

  async tokenStatus(sub: string, entry: EntryName, now: number): Promise<TokenRecord> {
    const { exp, user, lastSeen } = await readStatus(this.#db, sub, entry);
    const current = user !== null && user.until > now ? user : null;
    return { exp: liveExp(exp, now, this.#tolerance), user: current, lastSeen };
  }

  async findLegacyEntry(sub: string, id: string): Promise<LegacyEntry | null> {
    const row = await this.#db
      .selectFrom('registry_entries')
      .select(['key_id', 'iat'])
      .where('sub', '=', sub)
      .where('jti', '=', id)
      .executeTakeFirst();
    return row === undefined ? null : { keyId: row.key_id, iat: row.iat };
  }

  openStatusReader({ now }: StatusReaderOptions): StatusReader {
    return new SqliteStatusReader(this.#db, { file: this.#file, now });
  }

  async list(sub: string, now: number, { limit, jtis }: ListOptions = {}): Promise<ListedEntry[]> {
    const rows = await this.#live(now)
      .where('sub', '=', sub)
      .$if(jtis !== undefined, (query) => query.where('jti', 'in', jtis ?? []))
      .select(['jti', 'key_id', 'iat', 'exp', 'meta', 'last_seen'])
      .orderBy('iat')
      .orderBy('jti')
      .limit(limit ?? MOST_LISTED + 1)
      .execute();
    if (limit === undefined && rows.length > MOST_LISTED) throw tooLarge(sub);
    return rows.map((row) => ({
      ...toEntry(row),
      meta: row.meta === null ? null : parseMeta(row.meta),
      lastSeen: row.last_seen ?? undefined,
    }));
  }

  setUserStatus(
    sub: string,
    user: KnownUserStatus,
    now: number,
    replaces: number | null = null,
  ): Promise<number | null> {
    return this.#write(now, async (db) => {
      const entry = await db
        .selectFrom('registry_entries')
        .select('sub')
        .where('sub', '=', sub)
        .executeTakeFirst();
      return entry === undefined ? null : cacheStatus(db, sub, user, replaces);
    });
  }

  remove(sub: string, filter: EntryFilter, now: number): Promise<Removal> {
    return this.#write(now, async (db) => {
      const result = await db
        .deleteFrom('registry_entries')
        .where(matches(filter))
        .where('sub', '=', sub)
        .executeTakeFirst();
      const families = await removeFamilies(db, filter, sub);
      await forgetUsersWithoutEntries(db);
      return { removed: Number(result.numDeletedRows), families, replicasConfirmed: null };
    });
  }

  removeEverywhere(filter: EntryFilter, { now, signal }: WalkOptions): Promise<GlobalRemoval> {
    if (signal?.aborted) return Promise.resolve(this.#nothingRemoved());
    return this.#write(now, async (db) => {
      const matching = this.#live(now, db).where(matches(filter));
      const counts = await matching
        .select((column) => [
          column.fn.countAll<number>().as('matched'),
          column.fn.count<number>('sub').distinct().as('subjects'),
          column.fn.max('iat').as('largestIat'),
        ])
        .executeTakeFirstOrThrow();
      const byKeyId = await matching
        .select((column) => ['key_id', column.fn.countAll<number>().as('matched')])
        .groupBy('key_id')
        .execute();
      await db.deleteFrom('registry_entries').where(matches(filter)).execute();
      await removeFamilies(db, filter);
      await forgetUsersWithoutEntries(db);
      const matched = Number(counts.matched);
      return {
        matched,
        removed: matched,
        subjects: Number(counts.subjects),
        largestIat: counts.largestIat ?? null,
        byNode: [{ node: this.#file, matched, removed: matched }],
        byKeyId: byKeyId.map((row) => ({ keyId: row.key_id, matched: Number(row.matched) })),
        replicasConfirmed: null,
        complete: true,
        missed: [],
      };
    });
  }

  removeEntries(
    subjects: ReadonlyArray<{ sub: string; entries: readonly EntryName[] }>,
    now: number,
  ): Promise<RemovalOutcome> {
    return this.#write(now, async (db) => {
      let removed = 0;
      for (const { sub, entries } of subjects) {
        for (const entry of entries) {
          const { numDeletedRows } = await db
            .deleteFrom('registry_entries')
            .where(isNamed(sub, entry))
            .executeTakeFirst();
          removed += Number(numDeletedRows);
        }
      }
      await forgetUsersWithoutEntries(db);
      return { removed, byNode: [{ node: this.#file, removed }], isCounted: true, failure: null };
    });
  }

  async scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome> {
    const nodes: ScanOutcome['nodes'] = [
      { node: this.#file, role: 'embedded', slots: null, usedMemoryBytes: null },
    ];
    let done = 0;
    for await (const subjects of scanPages(this.#db, this.#file, this.#tolerance, options)) {
      if (options.signal?.aborted) return { complete: false, missed: [LEFT_BY_INTERRUPTION], nodes };
      await onSubjects(subjects);
      done += subjects.filter(({ isLast }) => isLast).length;
      options.onProgress?.({ unit: 'subjects', done, total: null });
    }
    return { complete: true, missed: [], nodes };
  }

  async locate(): Promise<SubjectLocation> {
    return { slot: null, node: this.#file };
  }

  async nodes(): Promise<RegistryNode[]> {
    const { keys } = await this.#db
      .selectFrom('registry_entries')
      .select((column) => column.fn.count<number>('sub').distinct().as('keys'))
      .executeTakeFirstOrThrow();
    return [
      {
        node: this.#file,
        role: 'embedded',
        master: null,
        slots: null,
        keys: Number(keys),
        usedMemoryBytes: null,
        maxmemoryBytes: null,
        maxmemoryPolicy: null,
        warnings: [],
        lagBytes: null,
        time: null,
        exchange: null,
        reachable: true,
      },
    ];
  }

  report(heartbeat: Heartbeat): Promise<void> {
    return report(this.#db, heartbeat, this.#tolerance);
  }

  deregister(id: string): Promise<void> {
    return deregister(this.#db, id);
  }

  fleet(now: number): Promise<FleetLook> {
    return readFleet(this.#db, now - this.#tolerance);
  }

  #nothingRemoved(): GlobalRemoval {
    return {
      matched: 0,
      removed: 0,
      subjects: 0,
      largestIat: null,
      replicasConfirmed: null,
      byNode: [{ node: this.#file, matched: 0, removed: 0 }],
      byKeyId: [],
      complete: false,
      missed: [LEFT_BY_INTERRUPTION],
    };
  }

  #live(now: number, db: SqlExecutor = this.#db): SelectQueryBuilder<Schema, 'registry_entries', object> {
    return db.selectFrom('registry_entries').where('exp', '>', now - this.#tolerance);
  }

  /** Removes expired rows before each write, so no separate cleanup is needed. */
  #write<T>(now: number, work: (db: SqlExecutor) => Promise<T>): Promise<T> {
    return retryConflicts(() =>
      this.#db.transaction().execute(async (db) => {
        const expired = await db
          .deleteFrom('registry_entries')
          .where('exp', '<=', now - this.#tolerance)
          .executeTakeFirst();
        if (expired.numDeletedRows > 0n) await forgetUsersWithoutEntries(db);
        await db
          .deleteFrom('registry_families')
          .where('exp', '<=', now - this.#tolerance)
          .execute();
        return work(db);
      }),
    );
  }
}
