import type { MasterWarning } from '../../../domain/ports/index.js';
import { type BulkStrings, stringAt } from './bulk-strings.js';
import { numberIn } from './info.js';
import type { Command } from './pipeline.js';

export const SERVER_INFO: Command = ['info', 'server', 'persistence', 'replication', 'memory', 'stats'];
export const TRACKING_LIMIT: Command = ['config', 'get', 'tracking-table-max-keys'];

/** Redis's default, used if the account may not read the setting. 0 means no limit. */
const TRACKING_LIMIT_DEFAULT = 1_000_000;
/** Redis keeps a full table at its limit, and briefly a little below it. */
const FULL_SHARE = 0.99;

/** Seconds after a restart by which a replica has taken over (twice the default cluster-node-timeout). */
const SETTLING_SECONDS = 30;

/** Detects restarts by the run id: nothing else changes. A server counts as settled when it is first seen. */
export class Lifetime {
  readonly #now: () => number;
  #runId: string | null = null;
  #settledAt = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get isSettled(): boolean {
    return this.#now() >= this.#settledAt;
  }

  learn(info: Map<string, string>): void {
    const runId = info.get('run_id') ?? null;
    if (this.#runId !== null && runId !== null && runId !== this.#runId) {
      const uptimeSeconds = numberIn(info, 'uptime_in_seconds') ?? 0;
      this.#settledAt = this.#now() + SETTLING_SECONDS - uptimeSeconds;
    }
    this.#runId = runId ?? this.#runId;
  }
}

/**
 * Returns when the server started, by its own clock, if it may have lost writes then. Null if it does not say, or has an
 * append-only file, which loses at most about a second.
 */
export function startedAt(info: Map<string, string>): number | null {
  if (info.get('aof_enabled') === '1') return null;
  const [time, uptimeSeconds] = [numberIn(info, 'server_time_usec'), numberIn(info, 'uptime_in_seconds')];
  const seconds = Math.floor((time ?? Number.NaN) / 1e6) - (uptimeSeconds ?? Number.NaN);
  return Number.isSafeInteger(seconds) ? seconds : null;
}

export function replicaOf(info: Map<string, string>): string | null {
  return info.get('role') === 'slave' ? `${info.get('master_host')}:${info.get('master_port')}` : null;
}

export function trackingLimit(reply: BulkStrings): number | null {
  return reply.count < 2 ? null : Number(stringAt(reply, 1));
}

export function masterWarnings(info: Map<string, string>, limit: number | null): MasterWarning[] {
  const warnings: MasterWarning[] = [];
  if (isMemoryFull(info)) warnings.push('memory_full');
  if (isTrackingFull(info, limit)) warnings.push('tracking_table_full');
  return warnings;
}

function isMemoryFull(info: Map<string, string>): boolean {
  const maxmemory = numberIn(info, 'maxmemory') ?? 0;
  return (
    maxmemory > 0 &&
    info.get('maxmemory_policy') === 'noeviction' &&
    (numberIn(info, 'used_memory') ?? 0) >= maxmemory
  );
}

function isTrackingFull(info: Map<string, string>, limit: number | null): boolean {
  const most = limit ?? TRACKING_LIMIT_DEFAULT;
  return most > 0 && (numberIn(info, 'tracking_total_keys') ?? 0) >= FULL_SHARE * most;
}
