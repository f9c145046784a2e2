export interface AuditFinding {
  finding:
    | 'changed'
    | 'removed'
    | 'inserted'
    /** The keyring lacks the row's master key, so the row cannot be checked. */
    | 'key_unknown'
    /** A plain SHA-256: any account with write access may have written the row. Not a fault in itself. */
    | 'unauthenticated';
  firstSeq: number;
  lastSeq: number;
}

/** Collects findings. Joins those of neighboring rows. */
export class AuditFindings {
  readonly #most: number;
  readonly #found: AuditFinding[] = [];
  readonly #last = new Map<AuditFinding['finding'], AuditFinding>();
  readonly #counts = new Map<AuditFinding['finding'], number>();
  #omitted = 0;

  /** @param most how many to keep of each kind, so that a log full of faults does not fill the memory */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most;
  }

  /** The number of findings that were not kept. */
  get omitted(): number {
    return this.#omitted;
  }

  add(finding: AuditFinding['finding'], firstSeq: number, lastSeq = firstSeq): void {
    const last = this.#last.get(finding);
    if (last !== undefined && firstSeq <= last.lastSeq + 1) {
      last.lastSeq = Math.max(last.lastSeq, lastSeq);
      return;
    }
    const added = { finding, firstSeq, lastSeq };
    this.#last.set(finding, added);
    const count = (this.#counts.get(finding) ?? 0) + 1;
    this.#counts.set(finding, count);
    if (count <= this.#most) this.#found.push(added);
    else this.#omitted += 1;
  }

  /** Returns the findings by the first row. */
  list(): AuditFinding[] {
    return this.#found.sort((a, b) => a.firstSeq - b.firstSeq);
  }
}
