import type { AuditRowBatcher } from '../domain/audit-log/audit-row-batcher.js';
import { JwtctlError } from '../domain/shared/errors.js';
import type { Issuer } from '../domain/tokens/issue.js';
import type { IssuedToken } from '../domain/tokens/issued-token.js';
import type { TokenRequest } from '../domain/tokens/token-request.js';

/** One batch signs while another one waits for the stores. */
const MOST_BATCHES = 2;
/** A larger batch would delay its first request, and share no more. */
const MOST_REQUESTS = 64;
/** Beyond that, clients would have given up by the time of their answer. */
const MOST_WAITING = 1_000;

type IssuerOfBatches = Pick<Issuer, 'issueMany' | 'validate'>;

interface Waiting {
  request: TokenRequest;
  actor: string;
  resolve(issued: IssuedToken): void;
  reject(error: unknown): void;
}

/**
 * Issues tokens for requests that arrive one by one. A request that is alone starts at once. Requests that arrive
 * while batches are running share the next batch: its queries, its pipeline to each Redis server, and one transaction
 * for the audit rows.
 */
export class RequestIssuer {
  readonly #issuer: IssuerOfBatches;
  readonly #audit: AuditRowBatcher;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #isScheduled = false;

  constructor(issuer: IssuerOfBatches, audit: AuditRowBatcher) {
    this.#issuer = issuer;
    this.#audit = audit;
  }

  /** @throws JwtctlError (usage) for an invalid request */
  validate(request: TokenRequest): void {
    this.#issuer.validate(request);
  }

  /** Resolves when the token is registered and its audit row is written. @throws as {@link Issuer.issue} does */
  issue(request: TokenRequest, actor: string): Promise<IssuedToken> {
    if (this.#waiting.length >= MOST_WAITING) return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, actor, resolve, reject });
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
      void this.#run(this.#waiting.splice(0, MOST_REQUESTS)).finally(() => {
        this.#running -= 1;
        this.#start();
      });
    }
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#issuer.issueMany(
        batch.map(({ request }) => request),
        { mayWait: false },
      );
      for (const [index, waiting] of batch.entries()) {
        const outcome = outcomes[index] as IssuedToken | JwtctlError;
        if (!(outcome instanceof JwtctlError)) void this.#finish(waiting, outcome);
        // Waits on its own, so that a user who has just logged out everywhere does not delay others.
        else if (outcome.code === 'ERR_REVOCATION_IN_FUTURE') void this.#runAlone(waiting);
        else waiting.reject(outcome);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  async #runAlone(waiting: Waiting): Promise<void> {
    try {
      const [outcome] = await this.#issuer.issueMany([waiting.request]);
      if (outcome instanceof JwtctlError) throw outcome;
      await this.#finish(waiting, outcome as IssuedToken);
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** If the audit row cannot be written, the token is not returned. */
  async #finish({ actor, resolve, reject }: Waiting, issued: IssuedToken): Promise<void> {
    const target = `${issued.sub} ${issued.jti}`;
    const row = { actor, action: 'token.issue', target, outcome: 'done', reason: null };
    await this.#audit.append({ ...row, at: issued.iat }).then(() => resolve(issued), reject);
  }
}

function overloaded(): JwtctlError {
  return new JwtctlError('ERR_ISSUER_OVERLOADED', `${MOST_WAITING} requests for tokens are already waiting.`);
}
