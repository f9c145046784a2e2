import type { MasterStatus, MasterWarning } from '../ports/token-status.js';
import { type ErrorCode, JwtctlError } from '../shared/errors.js';

/** Remembers the last answer or error of one registry server. */
export class MasterState {
  readonly node: string;
  warnings: readonly MasterWarning[] = [];
  #code: ErrorCode | null = null;
  #since: number;
  #answeredAt: number | null = null;

  constructor(node: string, now: number) {
    this.node = node;
    this.#since = now;
  }

  get answeredAt(): number | null {
    return this.#answeredAt;
  }

  get isUp(): boolean {
    return this.#code === null;
  }

  answered(now: number): void {
    this.#answeredAt = now;
    if (this.#code === null) return;
    this.#code = null;
    this.#since = now;
  }

  failed(error: unknown, now: number): void {
    if (this.#code === null) this.#since = now;
    this.#code = error instanceof JwtctlError ? error.code : 'ERR_BUG';
  }

  status(): MasterStatus {
    return { node: this.node, code: this.#code, since: this.#since, warnings: [...this.warnings] };
  }
}
