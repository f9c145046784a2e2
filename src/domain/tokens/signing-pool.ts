import type { KeyObject } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { schemeOf } from '../jose/signature.js';
import type { SigningAlgorithm } from '../model/signing-key.js';
import { JwtctlError } from '../shared/errors.js';

/** The main thread cannot keep more workers busy. */
const MAX_WORKERS = 16;
const PORTION = 32;
/** Keeps a worker busy while its last result is sent back. */
const PORTIONS_PER_WORKER = 2;

/** A string, because a worker file has different paths in sources and bundle. */
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

/** Signs on all cores. libuv's pool has 4 threads, and an ES module cannot change that (Node 20). */
export class SigningPool {
  readonly #size: number;
  readonly #workers = new Set<PoolWorker>();
  readonly #waiting: Portion[] = [];

  constructor(size = Math.min(availableParallelism(), MAX_WORKERS)) {
    this.#size = size;
  }

  async sign(alg: SigningAlgorithm, key: KeyObject, inputs: readonly string[]): Promise<string[]> {
    const portions: Array<Promise<string[]>> = [];
    for (let from = 0; from < inputs.length; from += PORTION) {
      const message = { ...schemeOf(alg), key, inputs: inputs.slice(from, from + PORTION).join(' ') };
      portions.push(new Promise((resolve, reject) => this.#waiting.push({ message, resolve, reject })));
    }
    this.#handOut();
    return (await Promise.all(portions)).flat();
  }

  async close(): Promise<void> {
    for (const portion of this.#waiting.splice(0)) portion.reject(stopped());
    await Promise.all([...this.#workers].map((worker) => worker.end()));
  }

  #handOut(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#leastBusy();
      if (worker === null) return;
      worker.assign(this.#waiting.shift() as Portion);
    }
  }

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
      // Idle threads must not keep the process alive.
      if (this.#portions.length === 0) this.#thread.unref();
      onDone();
    });
    const fail = (error: unknown) => {
      const portions = this.#portions.splice(0);
      onEnd();
      for (const portion of portions) portion.reject(error);
    };
    this.#thread.on('error', fail);
    this.#thread.on('exit', () => fail(stopped()));
  }

  get load(): number {
    return this.#portions.length;
  }

  assign(portion: Portion): void {
    this.#portions.push(portion);
    this.#thread.ref();
    this.#thread.postMessage(portion.message);
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }
}

function stopped(): JwtctlError {
  return new JwtctlError('ERR_BUG', 'A signing thread stopped before it finished its work.');
}
