import { writeAuditRow } from '../audit-log/write-audit-row.js';
import type { SigningKey } from '../model/signing-key.js';
import { UNCOUNTED } from '../ports/entry-store.js';
import type {
  Administration,
  EntryName,
  ScannedSubject,
  ScanOutcome,
  UserDirectory,
  WalkOptions,
} from '../ports/index.js';
import { cacheStatus } from '../security-log/cached-user-status.js';
import { readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import {
  DROP_REASONS,
  type DropReason,
  NOTHING_SEEN,
  planReconciliation,
  type Reconciliation,
  type ReconciliationRules,
  type SeenOfSubject,
} from './reconciliation-plan.js';
import { type SubjectPart, scanSubjects } from './scan-subjects.js';

export interface ReconciliationPorts extends Administration {
  users: UserDirectory;
}

export interface ReconciliationInput
  extends Omit<ReconciliationRules, 'now'>,
    Pick<WalkOptions, 'signal' | 'onProgress'> {
  dryRun: boolean;
}

export interface ReconciliationReport {
  complete: boolean;
  missed: string[];
  subjects: number;
  entries: number;
  dropped: Record<DropReason, number>;
  statusesCached: number;
  expiriesSet: number;
  leftovers: number;
  byNode: Array<{ node: string; dropped: number }>;
}

/**
 * Corrects what differs from the durable stores: revoked entries, entries without a trusted key or a user,
 * outdated statuses and expiries, leftovers. Removes only what no verifier would accept.
 * @throws JwtctlError (state) `ERR_KEY_STORE_EMPTY`, `ERR_USER_STORE_EMPTY` if there are tokens and not one
 * key or user; kind `unavailable` if a store is down, with earlier corrections kept
 */
export async function reconcileRegistry(
  ports: ReconciliationPorts,
  input: ReconciliationInput,
): Promise<ReconciliationReport> {
  const { signal, onProgress } = input;
  const run = new Run(ports, input);
  const outcome = await scanSubjects(
    ports.registry,
    () => ({ seen: NOTHING_SEEN }),
    (parts) => run.reconcile(parts),
    { now: ports.clock.now(), withDetails: true, signal, onProgress },
  );
  return run.finish(outcome);
}

export function countChanges({
  dropped,
  statusesCached,
  expiriesSet,
  leftovers,
}: Pick<ReconciliationReport, 'dropped' | 'statusesCached' | 'expiriesSet' | 'leftovers'>): number {
  const entries = DROP_REASONS.reduce((sum, reason) => sum + dropped[reason], 0);
  return entries + statusesCached + expiriesSet + leftovers;
}

interface State {
  seen: SeenOfSubject;
}

type Planned = Reconciliation & Pick<ScannedSubject, 'sub' | 'node'>;

class Run {
  readonly #ports: ReconciliationPorts;
  readonly #input: ReconciliationInput;
  readonly #droppedByNode = new Map<string, number>();
  readonly #missed: string[] = [];
  readonly #report = {
    subjects: 0,
    entries: 0,
    dropped: { keyNotTrusted: 0, revoked: 0, userUnknown: 0 },
    statusesCached: 0,
    expiriesSet: 0,
    leftovers: 0,
  };
  #hasBegun = false;
  #hasSeenUser = false;

  constructor(ports: ReconciliationPorts, input: ReconciliationInput) {
    this.#ports = ports;
    this.#input = input;
  }

  async reconcile(portion: ReadonlyArray<SubjectPart<State>>): Promise<void> {
    const planned = await this.#plan(portion);
    const wrong = planned.filter(isWrong);
    if (wrong.length === 0) return;
    if (this.#input.dryRun) {
      for (const plan of wrong) this.#countPlanned(plan);
      return;
    }
    if (wrong.some(({ drops }) => drops.some(({ reason }) => reason === 'userUnknown')))
      await this.#assertSomeUser();
    await this.#begin();
    try {
      await this.#correct(wrong);
    } catch (error) {
      if (!(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
      const subjects = wrong.length === 1 ? 'a subject' : `up to ${wrong.length} subjects`;
      this.#missed.push(
        `changes to ${subjects} (more may have been made than were counted: ${error.message})`,
      );
    }
  }

  /** A user table that is empty while it is reloaded must not end every token. */
  async #assertSomeUser(): Promise<void> {
    if (this.#hasSeenUser) return;
    for await (const _user of this.#ports.users.list()) {
      this.#hasSeenUser = true;
      return;
    }
    throw noUsers();
  }

  async finish(outcome: ScanOutcome): Promise<ReconciliationReport> {
    const missed = [...outcome.missed, ...this.#missed];
    const nodes = new Set([...outcome.nodes.map(({ node }) => node), ...this.#droppedByNode.keys()]);
    const report: ReconciliationReport = {
      complete: outcome.complete && this.#missed.length === 0,
      missed,
      ...this.#report,
      byNode: [...nodes].map((node) => ({ node, dropped: this.#droppedByNode.get(node) ?? 0 })),
    };
    if (this.#hasBegun) await this.#audit(report.complete ? 'done' : 'partial', summarize(report));
    return report;
  }

  /** Reads keys and users after the entries: see {@link planReconciliation}. */
  async #plan(portion: ReadonlyArray<SubjectPart<State>>): Promise<Planned[]> {
    const { database, users, clock } = this.#ports;
    const subs = portion.map(({ part }) => part.sub);
    const tokens = portion.flatMap(({ part: { sub, entries } }) => entries.map(({ jti }) => ({ sub, jti })));
    const [{ keys }, events, found] = await Promise.all([
      database.keys.snapshot(),
      readEvents(database.securityLog, tokens),
      users.findMany(subs),
    ]);
    if (keys.length === 0 && portion.some(({ part }) => part.entries.length > 0)) throw keyStoreEmpty();
    const keyOf = new Map<number, SigningKey>(keys.map((key) => [key.id, key]));
    const rules = { ...this.#input, now: clock.now() };
    return portion.map(({ part, state }) => {
      const { sub, node } = part;
      const known = { events, user: found.get(sub) ?? null, keys: keyOf };
      const plan = planReconciliation(part, known, rules, state.seen);
      state.seen = plan.seen;
      this.#report.subjects += part.isLast ? 1 : 0;
      this.#report.entries += part.entries.length;
      return { sub, node, ...plan };
    });
  }

  /** Removes by reason, because only the number of entries actually removed is counted. */
  async #correct(wrong: readonly Planned[]): Promise<void> {
    const { registry, users, clock } = this.#ports;
    const now = clock.now();
    const { statusTtlSeconds } = this.#input;
    const find = (sub: string) => users.find(sub);
    for (const reason of DROP_REASONS) {
      const subjects = wrong.flatMap((plan) => dropsOf(plan, reason));
      if (subjects.length === 0) continue;
      const { removed, byNode, isCounted, failure } = await registry.removeEntries(subjects, now);
      if (!isCounted) this.#missed.push(UNCOUNTED);
      this.#report.dropped[reason] += removed;
      for (const { node, removed } of byNode) this.#countDropped(node, removed);
      if (failure !== null) throw failure;
    }
    // Dropping entries also removed the expired ones and corrected the expiry.
    const others = wrong
      .filter((plan) => plan.drops.length === 0 && needsRemoval(plan))
      .map(({ sub }) => ({ sub, entries: [] }));
    const { failure } = others.length === 0 ? { failure: null } : await registry.removeEntries(others, now);
    if (failure !== null) throw failure;
    await Promise.all(
      wrong.map(
        ({ userToCache: user }) => user && cacheStatus({ registry, find }, user, now, statusTtlSeconds),
      ),
    );
    for (const plan of wrong) this.#countOthers(plan);
  }

  #countPlanned(plan: Planned): void {
    for (const { reason } of plan.drops) this.#report.dropped[reason] += 1;
    this.#countDropped(plan.node, plan.drops.length);
    this.#countOthers(plan);
  }

  #countOthers({ userToCache, hasWrongExpiry, leftovers }: Planned): void {
    this.#report.statusesCached += userToCache === null ? 0 : 1;
    this.#report.expiriesSet += hasWrongExpiry ? 1 : 0;
    this.#report.leftovers += leftovers;
  }

  #countDropped(node: string, count: number): void {
    this.#droppedByNode.set(node, (this.#droppedByNode.get(node) ?? 0) + count);
  }

  /** Writes the audit row before the first change, so that an interrupted run is recorded too. */
  async #begin(): Promise<void> {
    if (this.#hasBegun) return;
    await this.#audit('begun', null);
    this.#hasBegun = true;
  }

  #audit(outcome: string, reason: string | null): Promise<void> {
    const target = `all under ${this.#ports.registry.prefix}`;
    return writeAuditRow(this.#ports, { action: 'cache.reconcile', target, outcome, reason });
  }
}

function isWrong(plan: Planned): boolean {
  return plan.drops.length > 0 || plan.userToCache !== null || needsRemoval(plan);
}

function needsRemoval({ hasWrongExpiry, leftovers }: Planned): boolean {
  return hasWrongExpiry || leftovers > 0;
}

function dropsOf({ sub, drops }: Planned, reason: DropReason): Array<{ sub: string; entries: EntryName[] }> {
  const entries = drops.filter((drop) => drop.reason === reason).map(({ entry }) => entry);
  return entries.length === 0 ? [] : [{ sub, entries }];
}

function summarize({ dropped, statusesCached, expiriesSet, leftovers }: ReconciliationReport): string {
  const entries = DROP_REASONS.reduce((sum, reason) => sum + dropped[reason], 0);
  return `entries dropped: ${entries}, statuses cached: ${statusesCached}, expiries set: ${expiriesSet}, leftovers: ${leftovers}`;
}

function noUsers(): JwtctlError {
  return new JwtctlError(
    'ERR_USER_STORE_EMPTY',
    'The registry has tokens, but there are no users. No token of a missing user was removed.',
    {
      hint: 'Restore the users, or correct users.source. To remove the tokens, run `jwtctl cache flush --all`.',
    },
  );
}

/** A key's row outlives its tokens, so an empty key store belongs to another registry. */
function keyStoreEmpty(): JwtctlError {
  return new JwtctlError(
    'ERR_KEY_STORE_EMPTY',
    'The registry has tokens, but the key store has no keys. They do not belong together.',
    {
      hint: 'Check mysql.url, redis.nodes, and redis.prefix. To remove the tokens, run `jwtctl cache flush --all`.',
    },
  );
}
