import { writeAuditRow } from '../audit-log/write-audit-row.js';
import { isJti } from '../model/jti.js';
import { liveExp } from '../model/registry-entry.js';
import { isTrusted, type SigningKey } from '../model/signing-key.js';
import { subjectFault } from '../model/subject.js';
import type { BackupEntry, BackupFacts, BackupReader } from '../ports/backup-file.js';
import type { Administration, Registration, User, UserDirectory } from '../ports/index.js';
import { INTERRUPTED } from '../ports/registry-scanner.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { type RevocationIndex, readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import { pluralize } from '../shared/pluralize.js';
import { excerpt } from '../shared/text.js';
import { isFailureOutside } from '../shared/unavailable.js';
import type { NamedEntry } from './group-entries.js';
import { registerMany } from './register-many.js';
import { removeNamedEntries } from './remove-named-entries.js';

/** Why an entry is not restored, in the order of the checks. */
export const SKIP_REASONS = [
  'malformed',
  'expired',
  'keyNotTrusted',
  'revoked',
  'userUnknown',
  'userDisabled',
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export interface RestorationPorts extends Administration {
  users: UserDirectory;
}

export interface RestorationPolicy {
  clockToleranceSeconds: number;
  statusTtlSeconds: number;
}

export interface RestorationInput {
  backup: BackupReader;
  source: string;
  dryRun: boolean;
  signal?: AbortSignal | undefined;
  onProgress?: ((entries: number) => void) | undefined;
}

export interface RestorationReport {
  facts: BackupFacts;
  entries: number;
  restored: number;
  /** Already registered, with the same `exp`. */
  unchanged: number;
  skipped: Record<SkipReason, number>;
  complete: boolean;
  missed: string[];
}

/**
 * Restores the entries whose tokens a verifier would accept. Ignores `registry.maxPerSubject`, because a
 * restored token must not remove a newer one; the next issued token enforces it.
 * @throws JwtctlError of the stores, before the first entry is registered
 */
export async function restore(
  ports: RestorationPorts,
  policy: RestorationPolicy,
  input: RestorationInput,
): Promise<RestorationReport> {
  const { dryRun, source, backup } = input;
  const restoration = new Restoration(ports, policy, input);
  const { backend, prefix, createdAt } = backup.facts;
  const what = `backup of ${createdAt} (${[backend, prefix].join(' ').trim()})`;
  const row = { action: 'cache.restore', target: excerpt(source) };
  if (!dryRun) await writeAuditRow(ports, { ...row, outcome: 'begun', reason: what });
  const report = await restoration.run();
  if (dryRun) return report;
  const { restored, unchanged, entries } = report;
  const done = `${restored} of ${pluralize(entries, 'entry', 'entries')} restored${unchanged === 0 ? '' : `, ${unchanged} already existed`}`;
  const outcome = report.complete ? 'done' : 'partial';
  await writeAuditRow(ports, { ...row, outcome, reason: `${what}: ${done}` });
  return report;
}

class Restoration {
  readonly #ports: RestorationPorts;
  readonly #policy: RestorationPolicy;
  readonly #input: RestorationInput;
  readonly #report: RestorationReport;

  constructor(ports: RestorationPorts, policy: RestorationPolicy, input: RestorationInput) {
    this.#ports = ports;
    this.#policy = policy;
    this.#input = input;
    const skipped = Object.fromEntries(SKIP_REASONS.map((reason) => [reason, 0]));
    this.#report = {
      facts: input.backup.facts,
      entries: 0,
      restored: 0,
      unchanged: 0,
      skipped: skipped as RestorationReport['skipped'],
      complete: true,
      missed: [],
    };
  }

  async run(): Promise<RestorationReport> {
    const { backup, signal, onProgress } = this.#input;
    try {
      for await (const part of backup.parts()) {
        if (signal?.aborted) break;
        if (part.kind === 'lost') this.#miss(part.what);
        else await this.#restore(part.entries);
        onProgress?.(this.#report.entries);
      }
    } catch (error) {
      // Ctrl-C also ends standard input.
      const { restored, unchanged } = this.#report;
      const hasBegun = restored + unchanged > 0 && isFailureOutside(error);
      if (!hasBegun && !signal?.aborted) throw error;
      if (hasBegun) this.#miss(`The rest was not restored: ${error.message}`);
    }
    if (signal?.aborted)
      this.#miss(`The rest was not restored (${INTERRUPTED}). Run the same command again.`);
    return this.#report;
  }

  #miss(what: string): void {
    this.#report.complete = false;
    if (!this.#report.missed.includes(what)) this.#report.missed.push(what);
  }

  #skip(reason: SkipReason): void {
    this.#report.skipped[reason] += 1;
  }

  async #restore(entries: readonly BackupEntry[]): Promise<void> {
    this.#report.entries += entries.length;
    const now = this.#ports.clock.now();
    const { clockToleranceSeconds } = this.#policy;
    const live: BackupEntry[] = [];
    for (const entry of entries) {
      if (!isUsable(entry)) this.#skip('malformed');
      else if (liveExp(entry.exp, now, clockToleranceSeconds) === null) this.#skip('expired');
      else live.push(entry);
    }
    if (live.length === 0) return;

    const subs = [...new Set(live.map(({ sub }) => sub))];
    const { users, database } = this.#ports;
    const [{ keys }, found, events] = await Promise.all([
      database.keys.snapshot(),
      users.findMany(subs),
      readEvents(database.securityLog, live),
    ]);
    const keyOf = new Map(keys.map((key) => [key.kid, key]));
    const restorable: Restorable[] = [];
    for (const entry of live) {
      const key = entry.kid === null ? undefined : keyOf.get(entry.kid);
      const judged = judge(entry, key, found.get(entry.sub), events);
      if (typeof judged === 'string') this.#skip(judged);
      else restorable.push(judged);
    }
    const { wanted, present } = await this.#lookUp(restorable, now);
    const count = (some: readonly Restorable[], sign = 1) => {
      for (const one of some) this.#report[present.has(one) ? 'unchanged' : 'restored'] += sign;
    };
    if (this.#input.dryRun) count(wanted);
    else await this.#register(wanted, now, count);
  }

  /** `wanted` excludes entries in a part of the registry that did not answer. */
  async #lookUp(
    candidates: readonly Restorable[],
    now: number,
  ): Promise<{ wanted: Restorable[]; present: Set<Restorable> }> {
    const { registry } = this.#ports;
    const lookups = await Promise.allSettled(
      candidates.map((one) => registry.tokenStatus(one.entry.sub, nameOf(one).entry, now)),
    );
    const wanted: Restorable[] = [];
    const present = new Set<Restorable>();
    let failure: unknown = null;
    for (const [index, lookup] of lookups.entries()) {
      const candidate = candidates[index] as Restorable;
      if (lookup.status === 'rejected') {
        if (!isFailureOutside(lookup.reason)) throw lookup.reason;
        failure = lookup.reason;
        this.#miss(lookup.reason.message);
        continue;
      }
      wanted.push(candidate);
      if (lookup.value.exp === candidate.entry.exp) present.add(candidate);
    }
    if (failure !== null && wanted.length === 0) throw failure;
    return { wanted, present };
  }

  async #register(
    wanted: readonly Restorable[],
    now: number,
    count: (some: readonly Restorable[], sign?: number) => void,
  ): Promise<void> {
    const { registry, database, clock } = this.#ports;
    const registrations = wanted.map((restorable) =>
      registrationOf(restorable, now, this.#policy.statusTtlSeconds),
    );
    const outcomes = await registerMany(registry, registrations);
    const registered = wanted.filter((_, index) => !(outcomes[index] instanceof JwtctlError));
    count(registered);
    for (const outcome of outcomes) if (outcome instanceof JwtctlError) this.#miss(outcome.message);

    // A revocation since the first read of the log may have run before the entry existed.
    const events = await readEvents(
      database.securityLog,
      registered.map(({ entry }) => entry),
    );
    const revoked = registered.filter(({ entry, key }) => events.covers({ ...entry, kid: key.kid }));
    await removeNamedEntries(registry, revoked.map(nameOf), clock.now());
    count(revoked, -1);
    this.#report.skipped.revoked += revoked.length;
  }
}

interface Restorable {
  entry: BackupEntry;
  key: SigningKey;
  user: User;
}

function judge(
  entry: BackupEntry,
  key: SigningKey | undefined,
  user: User | undefined,
  events: RevocationIndex,
): Restorable | SkipReason {
  if (key === undefined || !isTrusted(key.state)) return 'keyNotTrusted';
  if (events.covers({ ...entry, kid: key.kid })) return 'revoked';
  if (user === undefined) return 'userUnknown';
  return user.status === 'enabled' ? { entry, key, user } : 'userDisabled';
}

function isUsable({ sub, jti }: BackupEntry): boolean {
  return subjectFault(sub) === null && isJti(jti);
}

function registrationOf(
  { entry, key, user }: Restorable,
  now: number,
  statusTtlSeconds: number,
): Registration {
  const { sub, jti, iat, exp, meta } = entry;
  return {
    sub,
    entry: { jti, keyId: key.id, iat, exp },
    now,
    user: knownStatus(user, now, statusTtlSeconds),
    meta: meta ?? undefined,
  };
}

function nameOf({ entry: { sub, jti, iat }, key }: Restorable): NamedEntry {
  return { sub, entry: { jti, iat, keyId: key.id } };
}
