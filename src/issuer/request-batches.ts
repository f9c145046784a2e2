import { JwtctlError } from '../domain/shared/errors.js';
import type { IssueOptions } from '../domain/tokens/issue.js';

/** One batch signs while another one waits for the stores. */
const MOST_BATCHES = 2;
/** A larger batch would delay its first request, and share no more. */
const MOST_REQUESTS = 64;
/** Beyond that, clients would have given up by the time of their answer. */
const MOST_WAITING = 1_000;

type Run<Request, Result> = (
  requests: readonly Request[],
  options?: IssueOptions,
) => Promise<Array<Result | JwtctlError>>;

interface Waiting<Request, Result> {
  request: Request;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/**
 * Runs requests that arrive one by one in batches. A request that is alone starts at once. Requests that arrive
 * while batches are running share the next batch: its queries, and its pipeline to each Redis server.
 */
export class RequestBatches<Request, Result extends object> {
  readonly #run: Run<Request, Result>;
  readonly #waiting: Array<Waiting<Request, Result>> = [];
  #running = 0;
  #isScheduled = false;

  constructor(run: Run<Request, Result>) {
    this.#run = run;
  }

  add(request: Request): Promise<Result> {
    if (this.#waiting.length >= MOST_WAITING) return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (this.#isScheduled) return;
      // Collects the requests that the sockets have delivered together.
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.#start();
      });
    });
  }

  #start(): void {
    while (this.#running < MOST_BATCHES && this.#waiting.length > 0) {
      this.#running += 1;
      void this.#runBatch(this.#waiting.splice(0, MOST_REQUESTS)).finally(() => {
        this.#running -= 1;
        this.#start();
      });
    }
  }

  async #runBatch(batch: ReadonlyArray<Waiting<Request, Result>>): Promise<void> {
    try {
      const outcomes = await this.#run(
        batch.map(({ request }) => request),
        { mayWait: false },
      );
      for (const [index, waiting] of batch.entries()) {
        const outcome = outcomes[index] as Result | JwtctlError;
        if (!(outcome instanceof JwtctlError)) waiting.resolve(outcome);
        // Waits on its own, so that a user who has just logged out everywhere does not delay others.
        else if (outcome.code === 'ERR_REVOCATION_IN_FUTURE') void this.#runAlone(waiting);
        else waiting.reject(outcome);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  async #runAlone({ request, resolve, reject }: Waiting<Request, Result>): Promise<void> {
    try {
      const [outcome] = await this.#run([request]);
      if (outcome instanceof JwtctlError) throw outcome;
      resolve(outcome as Result);
    } catch (error) {
      reject(error);
    }
  }
}

function overloaded(): JwtctlError {
  return new JwtctlError('ERR_ISSUER_OVERLOADED', `${MOST_WAITING} requests for tokens are already waiting.`);
}
