import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { flushed, type LogLevel, openLog } from './request-log.js';
import { gatherMetrics } from './shared-metrics.js';
import { aborted } from './stopping.js';

export interface Supervision {
  /** How many share the port. */
  workers: number;
  /** How long one has to stop by itself, in milliseconds. */
  stopMs: number;
  logLevel: LogLevel;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** Who lived for so long had no trouble to begin with. */
const SETTLED_MS = 30_000;

/** Whether this process is one of several that share the port. */
export const isWorker = cluster.isWorker;

/** A worker has no more to do: what supervises it need not be listened to. */
export function leave(): void {
  cluster.worker?.disconnect();
}

/**
 * Keeps so many processes of this program serving: each runs the same command line again. One that dies is replaced, at
 * once and then after ever longer pauses. Where the first cannot begin, none is tried again.
 *
 * @returns the exit code: 0 where all stopped by themselves once told to, 5 where one had to be killed, and that of a first
 * worker that could not begin
 */
export async function supervise(
  { workers, stopMs, logLevel }: Supervision,
  stop: AbortSignal,
): Promise<number> {
  const log = openLog(logLevel);
  const serving = new Set<Worker>();
  const alive = new Set<Worker>();
  // A metric that is NaN arrives as 0 where what workers say is made JSON.
  cluster.setupPrimary({ serialization: 'advanced' });
  gatherMetrics(() => [...serving]);

  const start = (): Worker => {
    const worker = cluster.fork();
    alive.add(worker);
    worker.once('listening', () => serving.add(worker));
    void endOf(worker).then(() => {
      serving.delete(worker);
      alive.delete(worker);
    });
    return worker;
  };

  const keepServing = async (first: Worker): Promise<void> => {
    let end = endOf(first);
    let pauseMs = FIRST_PAUSE_MS;
    while (!stop.aborted) {
      const startedAt = performance.now();
      const how = await end;
      if (stop.aborted) return;
      if (performance.now() - startedAt > SETTLED_MS) pauseMs = FIRST_PAUSE_MS;
      log.error({ ...how, pauseMs }, 'a worker ended and is replaced');
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      if (!stop.aborted) end = endOfNext(start);
    }
  };

  const first = start();
  const failure = await Promise.race([
    once(first, 'listening').then(() => null),
    once(first, 'exit').then(([code]) => Number(code ?? 70)),
    aborted(stop).then(() => null),
  ]);
  if (failure !== null) return failure;
  const kept = [first, ...Array.from({ length: stop.aborted ? 0 : workers - 1 }, start)].map(keepServing);

  await aborted(stop);
  const isComplete = await stopAll([...alive], stopMs);
  await Promise.all(kept);
  if (!isComplete) log.error('a worker did not stop in time and was killed');
  await flushed(log);
  return isComplete ? 0 : 5;
}

interface End {
  worker: number | undefined;
  exitCode?: number | null;
  signal?: string | null;
  /** Why it never began: there are too many processes, or its program is just being replaced. */
  error?: string;
}

function endOf(worker: Worker): Promise<End> {
  const { pid } = worker.process;
  return new Promise((resolve) => {
    worker.once('exit', (exitCode, signal) => resolve({ worker: pid, exitCode, signal }));
    // Also where a message or a signal did not reach it, which is no end.
    worker.on('error', ({ message }) => pid === undefined && resolve({ worker: pid, error: message }));
  });
}

/** Of one that is still to be started, which may fail at once, too. */
async function endOfNext(start: () => Worker): Promise<End> {
  try {
    return await endOf(start());
  } catch (error) {
    return { worker: undefined, error: (error as Error).message };
  }
}

/** @returns whether all ended by themselves */
async function stopAll(workers: readonly Worker[], stopMs: number): Promise<boolean> {
  const ended = Promise.all(workers.map(endOf));
  for (const worker of workers) worker.process.kill('SIGTERM');
  const timer = new AbortController();
  const isInTime = await Promise.race([
    ended.then(() => true),
    delay(stopMs, false, { signal: timer.signal }).catch(() => false),
  ]);
  timer.abort();
  if (!isInTime) for (const worker of workers) worker.process.kill('SIGKILL');
  await ended;
  return isInTime;
}
