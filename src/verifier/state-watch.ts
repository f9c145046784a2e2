import type { Clock, MasterStatus, MasterWarning } from '../domain/ports/index.js';
import { formatDuration } from '../domain/shared/duration.js';
import type { VerifierHealth } from './health.js';

export interface StateChange {
  level: 'info' | 'warn' | 'error';
  /** For programs. */
  fields: Record<string, string | number | boolean | null>;
  /** For people. */
  text: string;
}

export interface StateWatchPorts {
  clock: Clock;
  probe(): void;
  health(): VerifierHealth;
  report(change: StateChange): void;
}

const EVERY_SECONDS = 1;

export class StateWatch {
  readonly #ports: StateWatchPorts;
  readonly #graceSeconds: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #seen: VerifierHealth;

  constructor(ports: StateWatchPorts, graceSeconds: number) {
    this.#ports = ports;
    this.#graceSeconds = graceSeconds;
    this.#seen = ports.health();
  }

  begin(): void {
    this.#running = this.#run();
  }

  async end(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, probe, health, report } = this.#ports;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.until(clock.now() + EVERY_SECONDS, signal).catch(() => {});
      if (signal.aborted) return;
      probe();
      const before = this.#seen;
      this.#seen = health();
      for (const change of changesBetween(before, this.#seen, this.#graceSeconds)) report(change);
    }
  }
}

function changesBetween(before: VerifierHealth, after: VerifierHealth, graceSeconds: number): StateChange[] {
  return [
    ...databaseChanges(before.database, after.database, graceSeconds),
    ...masterChanges(before.masters, after.masters),
    ...useChanges(before.uses, after.uses),
    ...readinessChanges(before, after),
  ];
}

function databaseChanges(
  before: VerifierHealth['database'],
  after: VerifierHealth['database'],
  graceSeconds: number,
): StateChange[] {
  const state = answering(after);
  if (answering(before) === state) return [];
  const { since, code } = after;
  const texts = {
    up: 'The database responds again.',
    degraded: `The database does not respond. The verifier uses what it has read for up to ${formatDuration(graceSeconds)} (verifier.grace).`,
    down: 'The database has not responded for verifier.grace. No tokens are accepted until it responds.',
  };
  return [{ level: LEVELS[state], fields: { store: 'database', state, since, code }, text: texts[state] }];
}

const LEVELS = { up: 'info', degraded: 'warn', down: 'error' } as const;

/** Treats a database that lacks changes as answering, because DatabaseWatch warns about that. */
function answering({ state, code }: VerifierHealth['database']): VerifierHealth['database']['state'] {
  return code === 'ERR_DATABASE_BEHIND' ? 'up' : state;
}

function masterChanges(before: readonly MasterStatus[], after: readonly MasterStatus[]): StateChange[] {
  const known = new Map(before.map((master) => [master.node, master]));
  const changes = after.flatMap((master) => {
    const { node, code, since } = master;
    const last = known.get(node);
    known.delete(node);
    const changed: StateChange[] = [];
    const fields = { store: 'registry', node, state: code === null ? 'up' : 'down', since, code };
    if (code !== null && (last?.code ?? null) === null)
      changed.push({ level: 'error', fields, text: `Redis at ${node} cannot be read.` });
    if (code === null && last !== undefined && last.code !== null)
      changed.push({ level: 'info', fields, text: `Redis at ${node} can be read again.` });
    return [...changed, ...warningChanges(master, last?.warnings ?? [])];
  });
  for (const { node, since, code } of known.values()) {
    if (code === null) continue;
    const fields = { store: 'registry', node, state: 'gone', since, code };
    changes.push({ level: 'info', fields, text: `Redis at ${node} no longer serves any hash slots.` });
  }
  return changes;
}

const WARNINGS: Readonly<Record<MasterWarning, string>> = {
  memory_full: 'has reached its maxmemory and registers no new tokens. Raise maxmemory, or add masters.',
  tracking_table_full:
    'has reached tracking-table-max-keys, so the near cache loses verdicts. Raise the limit above the number of active users.',
  not_tracking: 'refuses CLIENT TRACKING, so the near cache asks it for each verification.',
};

function warningChanges({ node, warnings }: MasterStatus, last: readonly MasterWarning[]): StateChange[] {
  const change = (warning: MasterWarning, isSet: boolean, text: string): StateChange => ({
    level: isSet ? 'warn' : 'info',
    fields: { store: 'registry', node, warning, isSet },
    text: `Redis at ${node}${text}`,
  });
  const begun = warnings.filter((warning) => !last.includes(warning));
  const over = last.filter((warning) => !warnings.includes(warning));
  return [
    ...begun.map((warning) => change(warning, true, ` ${WARNINGS[warning]}`)),
    ...over.map((warning) => change(warning, false, `: the warning ${warning} no longer applies.`)),
  ];
}

function useChanges(before: VerifierHealth['uses'], after: VerifierHealth['uses']): StateChange[] {
  if (after === null || (before?.code ?? null) === after.code) return [];
  const { since, code } = after;
  const fields = { store: 'registry', storesUses: code === null, since, code };
  return code === null
    ? [{ level: 'info', fields, text: 'The registry stores the use of tokens again.' }]
    : [
        {
          level: 'warn',
          fields,
          text: 'The registry does not store the use of tokens. Other verifiers may refuse tokens in use as idle (token.idleTimeout).',
        },
      ];
}

function readinessChanges(
  before: VerifierHealth,
  { isReady, database, registry }: VerifierHealth,
): StateChange[] {
  if (before.isReady === isReady) return [];
  const fields = { isReady, database: database.state, registry: registry.state };
  return isReady
    ? [{ level: 'info', fields, text: 'Ready: tokens can be verified.' }]
    : [{ level: 'error', fields, text: 'Not ready: no token can be verified.' }];
}
