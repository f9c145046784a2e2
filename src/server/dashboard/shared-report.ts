import cluster, { type Worker } from 'node:cluster';
import { JwtctlError } from '../../domain/shared/errors.js';
import type { Report } from '../../page/page-data.js';
import { secondsUntilNext } from './feed.js';

type Read = () => Promise<Report>;

type Message =
  /** From a worker: send a report that is not too old. */
  | { jwtctl: 'want report' }
  /** To the worker that makes the next one. */
  | { jwtctl: 'read report' }
  /** From that worker, and to each worker that asked. */
  | { jwtctl: 'report'; report: Report | null; code: string | null };

/** Returns a report that all processes of the server share, so that only one of them reads the registry. */
export function reportOfAll(read: Read): Read {
  const { worker } = cluster;
  if (worker === undefined) return read;
  let waiting: Array<{ resolve(report: Report): void; reject(error: Error): void }> = [];
  worker.on('message', async (message: Message) => {
    if (message.jwtctl === 'read report') send(worker, await outcomeOf(read));
    if (message.jwtctl !== 'report') return;
    const { report, code } = message;
    for (const { resolve, reject } of waiting.splice(0))
      if (report !== null) resolve(report);
      else
        reject(
          new JwtctlError((code ?? 'ERR_BUG') as 'ERR_BUG', 'Another process could not read the report.'),
        );
  });
  return () =>
    new Promise((resolve, reject) => {
      waiting = [...waiting, { resolve, reject }];
      send(worker, { jwtctl: 'want report' });
    });
}

async function outcomeOf(read: Read): Promise<Message> {
  try {
    return { jwtctl: 'report', report: await read(), code: null };
  } catch (error) {
    return { jwtctl: 'report', report: null, code: error instanceof JwtctlError ? error.code : 'ERR_BUG' };
  }
}

/** Runs in the supervisor. */
export function shareReports(): void {
  const waiting = new Set<Worker>();
  let reader: Worker | null = null;
  let askedAt = 0;
  let last: { message: Message; until: number } | null = null;
  const answer = (message: Message) => {
    for (const worker of waiting) send(worker, message);
    waiting.clear();
    reader = null;
  };
  cluster.on('message', (worker: Worker, message: Message) => {
    if (message.jwtctl === 'report' && worker === reader) {
      const now = performance.now();
      const tookSeconds = (now - askedAt) / 1000;
      // Workers do not ask all in the same moment.
      const seconds = secondsUntilNext({ isRead: message.report !== null, tookSeconds }) - 5;
      last = { message, until: now + 1000 * seconds };
      answer(message);
    }
    if (message.jwtctl !== 'want report') return;
    if (last !== null && performance.now() < last.until) return send(worker, last.message);
    waiting.add(worker);
    if (reader !== null) return;
    reader = worker;
    askedAt = performance.now();
    send(worker, { jwtctl: 'read report' });
  });
  cluster.on('exit', (worker: Worker) => {
    waiting.delete(worker);
    if (worker !== reader) return;
    answer({ jwtctl: 'report', report: null, code: 'ERR_CLOSED' });
  });
}

/** A worker that has just ended gets no messages. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
