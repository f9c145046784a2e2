import cluster, { type Worker } from 'node:cluster';
import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client';

/** A worker that is too busy to answer is left out: what the others count is worth having. */
const ANSWER_MS = 1_000;

/** Then the supervisor is stuck, and a worker tells its own: some figures say more than none. */
const PATIENCE_MS = 5_000;

type Counted = Array<MetricObjectWithValues<MetricValue<string>>>;

/** What workers and the process that supervises them say to each other. */
type Message =
  /** A worker: somebody asked me for the metrics of all. */
  | { jwtctl: 'want'; id: number }
  /** To each worker: what have you counted? */
  | { jwtctl: 'count'; round: number }
  | { jwtctl: 'counted'; round: number; metrics: Counted }
  /** To the worker that wanted it. */
  | { jwtctl: 'text'; id: number; text: string };

/** A worker's `/metrics`: that of all workers. A server without workers tells its own. */
export function metricsOfAll(registry: Registry): () => Promise<string> {
  const { worker } = cluster;
  if (worker === undefined) return () => registry.metrics();
  const waiting = new Map<number, (text: string) => void>();
  let lastId = 0;
  worker.on('message', async (message: Message) => {
    if (message.jwtctl === 'count') {
      const metrics = (await registry.getMetricsAsJSON()) as Counted;
      send(worker, { jwtctl: 'counted', round: message.round, metrics });
    } else if (message.jwtctl === 'text') {
      waiting.get(message.id)?.(message.text);
      waiting.delete(message.id);
    }
  });
  return () =>
    new Promise((resolve) => {
      const id = ++lastId;
      const alone = setTimeout(() => {
        waiting.delete(id);
        resolve(registry.metrics());
      }, PATIENCE_MS);
      waiting.set(id, (text) => {
        clearTimeout(alone);
        resolve(text);
      });
      send(worker, { jwtctl: 'want', id });
    });
}

/** For the process that supervises: answers workers that want the metrics of all. @param workers those that serve */
export function gatherMetrics(workers: () => readonly Worker[]): void {
  const rounds = new Map<number, (worker: Worker, metrics: Counted) => void>();
  let lastRound = 0;
  cluster.on('message', async (worker: Worker, message: Message) => {
    if (message.jwtctl === 'counted') rounds.get(message.round)?.(worker, message.metrics);
    if (message.jwtctl !== 'want') return;
    const round = ++lastRound;
    const counted = await gathered(workers(), round);
    send(worker, {
      jwtctl: 'text',
      id: message.id,
      text: await AggregatorRegistry.aggregate(counted).metrics(),
    });
  });

  function gathered(asked: readonly Worker[], round: number): Promise<Counted[]> {
    return new Promise((resolve) => {
      const answers = new Map<Worker, Counted>();
      const end = () => {
        clearTimeout(timer);
        rounds.delete(round);
        resolve([...answers.values()]);
      };
      const timer = setTimeout(end, ANSWER_MS);
      rounds.set(round, (worker, metrics) => {
        answers.set(worker, metrics);
        if (answers.size === asked.length) end();
      });
      for (const worker of asked) send(worker, { jwtctl: 'count', round });
    });
  }
}

/** One that has just gone hears nothing any more. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
