import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { shareReports } from './dashboard/shared-report.js';
import { type FormatLine, flushed, type LogLevel, openLog, standardError } from './request-log.js';
import { gatherMetrics } from './shared-metrics.js';
import { aborted } from './stopping.js';

export interface Supervision {
  workers: number;
  stopMs: number;
  logLevel: LogLevel;
  /** Default: JSON */
  formatLine?: FormatLine | undefined;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** A worker that ran this long started successfully. */
const SETTLED_MS = 30_000;

export const isWorker = cluster.isWorker;

/** Whether this process starts to serve before all others. A replaced worker gets a new ID. */
export const isFirst = cluster.worker === undefined || cluster.worker.id === 1;

export function leave(): void {
  cluster.worker?.disconnect();
}

/**
 * Replaces a worker that ends, after growing pauses. If the first worker cannot start, tries no other.
 *
 * @returns the exit code: 0, 5 if a worker was killed, or that of a first worker that failed to start
 */
export async function supervise(
  { workers, stopMs, logLevel, formatLine }: Supervision,
  stop: AbortSignal,
): Promise<number> {
  const log = openLog(logLevel, standardError(formatLine));
  const serving = new Set<Worker>();
  const alive = new Set<Worker>();
  // JSON would turn a NaN metric into null, which is then read as 0.
  cluster.setupPrimary({ serialization: 'advanced' });
  gatherMetrics(() => [...serving]);
  shareReports();

  const start = (): Worker => {
    const worker = cluster.fork();
    alive.add(worker);
    worker.once('listening', () => serving.add(worker));
    void exitOf(worker).then(() => {
      serving.delete(worker);
      alive.delete(worker);
    });
    return worker;
  };

  const keepServing = async (first: Worker): Promise<void> => {
    let end = exitOf(first);
    let pauseMs = FIRST_PAUSE_MS;
    while (!stop.aborted) {
      const startedAt = performance.now();
      const exit = await end;
      if (stop.aborted) return;
      if (performance.now() - startedAt > SETTLED_MS) pauseMs = FIRST_PAUSE_MS;
      log.error({ ...exit, pauseMs }, 'a worker ended and will be replaced');
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      if (!stop.aborted) end = exitOfNext(start);
    }
  };

  const first = start();
  const failure = await Promise.race([
    once(first, 'listening').then(() => null),
    once(first, 'exit').then(([code]) => Number(code ?? 70)),
    aborted(stop).then(() => null),
  ]);
  if (failure !== null) return failure;
  const supervised = [first, ...Array.from({ length: stop.aborted ? 0 : workers - 1 }, start)].map(
    keepServing,
  );

  await aborted(stop);
  const isComplete = await stopAll([...alive], stopMs);
  await Promise.all(supervised);
  if (!isComplete) log.error('a worker did not stop in time and was killed');
  await flushed(log);
  return isComplete ? 0 : 5;
}

interface WorkerExit {
  worker: number | undefined;
  exitCode?: number | null;
  signal?: string | null;
  /** Why the worker did not start: too many processes, or its program is being replaced. */
  error?: string;
}

function exitOf(worker: Worker): Promise<WorkerExit> {
  const { pid } = worker.process;
  return new Promise((resolve) => {
    worker.once('exit', (exitCode, signal) => resolve({ worker: pid, exitCode, signal }));
    // The event also reports undelivered messages and signals, which do not end the worker.
    worker.on('error', ({ message }) => pid === undefined && resolve({ worker: pid, error: message }));
  });
}

/** Starting the worker may fail at once. */
async function exitOfNext(start: () => Worker): Promise<WorkerExit> {
  try {
    return await exitOf(start());
  } catch (error) {
    return { worker: undefined, error: (error as Error).message };
  }
}

async function stopAll(workers: readonly Worker[], stopMs: number): Promise<boolean> {
  const ended = Promise.all(workers.map(exitOf));
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
