import { expect, vi } from 'vitest';
import { KILLS } from './repetitions.js';
import { type Ended, spawnCli } from './spawned.js';
import type { Stores } from './stores.js';

export interface Kill {
  /** Names the kill in the message of an assertion. */
  readonly where: string;
  /** False if the run had ended by itself. */
  readonly isHit: boolean;
}

/** Runs of one command line that are killed at different moments. */
export interface Kills {
  readonly delaysMs: readonly number[];
  /** Runs `words` and kills the process after `delayMs`. Resolves when the servers have finished its work, too. */
  kill(words: readonly string[], delayMs: number): Promise<Kill>;
}

/** The line of `--verbose` that marks the start of the work. A run killed before it has done nothing. */
const WORK_BEGINS = 'The master keyring comes from';

/**
 * Chooses random moments: one in each of equal parts of the time that a complete run works. Together they are uniform
 * and do not cluster.
 */
export async function planKills(stores: Stores, words: readonly string[]): Promise<Kills> {
  const whole = await spawnCli([...words, '--verbose'], { env: stores.env, killFrom: WORK_BEGINS });
  assertEnded(whole, 'a run that was left alone');
  const workMs = whole.elapsedFromMs ?? Number.NaN;
  const delaysMs = Array.from({ length: KILLS }, (_, part) => ((part + Math.random()) / KILLS) * workMs);
  return {
    delaysMs,
    kill: async (killed, delayMs) => {
      const where = `killed ${delayMs.toFixed(1)} ms into the ${workMs.toFixed(0)} ms or so of its work`;
      const others = new Set(await connections(stores));
      const ended = await spawnCli([...killed, '--verbose'], {
        env: stores.env,
        killAfterMs: delayMs,
        killFrom: WORK_BEGINS,
      });
      const isHit = ended.signal === 'SIGKILL';
      if (!isHit) assertEnded(ended, where);
      // MariaDB completes what it has received: a COMMIT between two reads would make them differ.
      await vi.waitFor(async () => {
        const left = (await connections(stores)).filter((id) => !others.has(id));
        if (left.length > 0) throw new Error(`MariaDB still holds the connections ${left} of a killed run.`);
      }, 10_000);
      return { where, isHit };
    },
  };
}

function assertEnded({ exitCode, signal, stderr }: Ended, where: string): void {
  expect({ exitCode, signal }, `${where}: ${stderr}`).toEqual({ exitCode: 0, signal: null });
}

async function connections({ isCluster, query }: Stores): Promise<string[]> {
  if (!isCluster) return [];
  const rows = await query('SELECT id FROM information_schema.processlist WHERE db = DATABASE()');
  return rows.map(({ id }) => String(id));
}
