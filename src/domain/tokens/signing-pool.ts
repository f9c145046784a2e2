import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { schemeOf } from '../jose/signature.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { JwtctlError } from '../shared/errors.js';

/** The thread that feeds them, and does everything else, keeps no more of them busy. */
const MAX_WORKERS = 16;
/** Inputs that a worker is handed at once: some 10 ms of work, beside which handing over costs next to nothing. */
const PORTION = 32;
/** So that a worker has the next portion while its last one is on its way back. */
const PORTIONS_PER_WORKER = 2;

/**
 * As text, for a file would be another one in the sources than in the bundle. A KeyObject is handed over, not copied; a
 * text is copied faster than many.
 */
const WORKER = `
const { parentPort } = require('node:worker_threads');
const { sign } = require('node:crypto');
parentPort.on('message', ({ hash, options, key, inputs }) => {
  const signWith = { key, ...options };
  const signatures = inputs.split(' ').map((input) => sign(hash, Buffer.from(input, 'ascii'), signWith));
  parentPort.postMessage(signatures.map((signature) => signature.toString('base64url')).join(' '));
});
`;

interface Portion {
  message: { hash: string; options: object; key: KeyObject; inputs: string };
  resolve(signatures: string[]): void;
  reject(error: unknown): void;
}

/**
 * Makes many signatures on all cores, in threads of its own that begin when there is work for them.
 *
 * Not on libuv's pool, as one signature is: that has four threads, and where UV_THREADPOOL_SIZE does not say otherwise
 * before Node begins, no program of ES modules can (Node 20 has read the first module with it by then).
 */
export class SigningPool {
  readonly #size: number;
  readonly #workers = new Set<PoolWorker>();
  readonly #waiting: Portion[] = [];

  constructor(size = Math.min(availableParallelism(), MAX_WORKERS)) {
    this.#size = size;
  }

  /** @returns the JWS Signature over each of `inputs`, in base64url */
  async sign(alg: SigningAlgorithm, key: KeyObject, inputs: readonly string[]): Promise<string[]> {
    const portions: Array<Promise<string[]>> = [];
    for (let from = 0; from < inputs.length; from += PORTION) {
      const message = { ...schemeOf(alg), key, inputs: inputs.slice(from, from + PORTION).join(' ') };
      portions.push(new Promise((resolve, reject) => this.#waiting.push({ message, resolve, reject })));
    }
    this.#handOut();
    return (await Promise.all(portions)).flat();
  }

  /** Ends the threads. What they had not done is rejected. */
  async close(): Promise<void> {
    for (const portion of this.#waiting.splice(0)) portion.reject(ended());
    await Promise.all([...this.#workers].map((worker) => worker.end()));
  }

  #handOut(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#leastBusy();
      if (worker === null) return;
      worker.take(this.#waiting.shift() as Portion);
    }
  }

  /** Null where all have as much as they may. */
  #leastBusy(): PoolWorker | null {
    const [first] = [...this.#workers].sort((a, b) => a.load - b.load);
    if (first?.load === 0) return first;
    if (this.#workers.size < this.#size) return this.#begin();
    return first !== undefined && first.load < PORTIONS_PER_WORKER ? first : null;
  }

  #begin(): PoolWorker {
    const worker = new PoolWorker({
      onDone: () => this.#handOut(),
      onEnd: () => {
        this.#workers.delete(worker);
        this.#handOut();
      },
    });
    this.#workers.add(worker);
    return worker;
  }
}

class PoolWorker {
  readonly #thread = new Worker(WORKER, { eval: true, execArgv: [], env: {} });
  readonly #portions: Portion[] = [];

  constructor({ onDone, onEnd }: { onDone: () => void; onEnd: () => void }) {
    this.#thread.unref();
    this.#thread.on('message', (signatures: string) => {
      this.#portions.shift()?.resolve(signatures.split(' '));
      // A thread without work keeps no process alive.
      if (this.#portions.length === 0) this.#thread.unref();
      onDone();
    });
    const fail = (error: unknown) => {
      const portions = this.#portions.splice(0);
      onEnd();
      for (const portion of portions) portion.reject(error);
    };
    this.#thread.on('error', fail);
    this.#thread.on('exit', () => fail(ended()));
  }

  get load(): number {
    return this.#portions.length;
  }

  take(portion: Portion): void {
    this.#portions.push(portion);
    this.#thread.ref();
    this.#thread.postMessage(portion.message);
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }
}

function ended(): JwtctlError {
  return new JwtctlError('ERR_BUG', 'A thread ended before it had signed what it was given.');
}
