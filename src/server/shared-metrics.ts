import cluster, { type Worker } from 'node:cluster';
import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client';

/** A worker that is too busy to answer counts with its last answer: what the others count is worth having. */
const ANSWER_MS = 1_000;

/** Then the supervisor is stuck, and a worker tells its own: some figures say more than none. */
const PATIENCE_MS = 5_000;

export type Counted = Array<MetricObjectWithValues<MetricValue<string>>>;

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
  const rounds = new Map<number, (worker: Worker) => void>();
  let lastRound = 0;
  const answers = new Answers<Worker>();
  cluster.on('message', async (worker: Worker, message: Message) => {
    if (message.jwtctl === 'counted') {
      answers.take(worker, message.metrics);
      rounds.get(message.round)?.(worker);
    }
    if (message.jwtctl !== 'want') return;
    const round = ++lastRound;
    await answered(workers(), round);
    send(worker, {
      jwtctl: 'text',
      id: message.id,
      text: await AggregatorRegistry.aggregate(answers.all()).metrics(),
    });
  });
  cluster.on('exit', (worker: Worker) => answers.end(worker));

  function answered(asked: readonly Worker[], round: number): Promise<void> {
    return new Promise((resolve) => {
      const missing = new Set(asked);
      const end = () => {
        clearTimeout(timer);
        rounds.delete(round);
        resolve();
      };
      const timer = setTimeout(end, ANSWER_MS);
      rounds.set(round, (worker) => {
        missing.delete(worker);
        if (missing.size === 0) end();
      });
      for (const worker of asked) send(worker, { jwtctl: 'count', round });
    });
  }
}

/**
 * What each worker counted when it last answered. A counter must not go down, for whoever reads it takes that for a restart,
 * and all that is counted for new: so that of a silent worker stays, and that of one that ended too, but for its gauges.
 */
export class Answers<Key extends object> {
  readonly #last = new Map<Key, Counted>();
  /** Added up, so that a worker which ends again and again takes no more memory each time. */
  #ended: Counted = [];
  readonly #gone = new WeakSet<Key>();

  take(worker: Key, metrics: Counted): void {
    if (!this.#gone.has(worker)) this.#last.set(worker, metrics);
  }

  end(worker: Key): void {
    this.#gone.add(worker);
    const counted = (this.#last.get(worker) ?? []).filter(isCounted);
    this.#last.delete(worker);
    const sum = AggregatorRegistry.aggregate([this.#ended, counted]).getMetricsAsArray();
    this.#ended = sum as unknown as Counted;
  }

  all(): Counted[] {
    // Those that run first: what is said of a metric is said by the first that has it.
    return [...this.#last.values(), this.#ended];
  }
}

/** Whether it only ever grows. What prom-client's types leave out is there: the text. */
function isCounted({ type }: Counted[number]): boolean {
  return ['counter', 'histogram'].includes(String(type));
}

/** One that has just gone hears nothing any more. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
