import cluster, { type Worker } from 'node:cluster';
import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client';

/** How long to wait for workers. A busy worker counts with its last answer. */
const ANSWER_MS = 1_000;

/** After this time, the supervisor is stuck, and a worker returns only its own metrics. */
const SUPERVISOR_MS = 5_000;

export type Counted = Array<MetricObjectWithValues<MetricValue<string>>>;

type Message =
  /** From a worker: send the metrics of all workers. */
  | { jwtctl: 'want'; id: number }
  /** To each worker: send your metrics. */
  | { jwtctl: 'count'; round: number }
  | { jwtctl: 'counted'; round: number; metrics: Counted }
  /** To the worker that asked. */
  | { jwtctl: 'text'; id: number; text: string };

/** Returns the text for all workers, or for this process if it is not a worker. */
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
      const fallback = setTimeout(() => {
        waiting.delete(id);
        resolve(registry.metrics());
      }, SUPERVISOR_MS);
      waiting.set(id, (text) => {
        clearTimeout(fallback);
        resolve(text);
      });
      send(worker, { jwtctl: 'want', id });
    });
}

/** Runs in the supervisor. */
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

/** Keeps counters of silent and ended workers, because Prometheus takes a decrease for a restart. */
export class Answers<Key extends object> {
  readonly #last = new Map<Key, Counted>();
  /** The sum of ended workers, so that repeated restarts take no more memory. */
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
    // Running workers first, because the first one determines the help text of a metric.
    return [...this.#last.values(), this.#ended];
  }
}

/** Returns whether the metric never decreases. prom-client's types omit that `type` is text. */
function isCounted({ type }: Counted[number]): boolean {
  return ['counter', 'histogram'].includes(String(type));
}

/** A worker that has just ended gets no messages. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
