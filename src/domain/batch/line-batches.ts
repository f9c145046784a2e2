import { JwtctlError } from '../shared/errors.js';

/** Numbered from 1. */
export type Line<T> = { number: number } & ({ value: T } | FailedLine);

export interface FailedLine {
  error: JwtctlError;
  /** The start of the next line is unknown, so the rest is not read. */
  isCutOff?: true;
}

export interface LineSource<T> {
  /** Yields the lines that are available, without waiting for more. */
  lines: AsyncIterable<ReadonlyArray<Line<T>>>;
  /** Stops reading, even while waiting for more lines. */
  close(): void;
}

/** Converts each value with `read`. A JwtctlError from `read` becomes the line's error. */
export function mapLines<In, Out>(source: LineSource<In>, read: (value: In) => Out): LineSource<Out> {
  async function* mapped() {
    for await (const piece of source.lines) yield piece.map((line) => mapLine(line, read));
  }
  return { lines: mapped(), close: source.close };
}

function mapLine<In, Out>(line: Line<In>, read: (value: In) => Out): Line<Out> {
  if ('error' in line) return line;
  const { number } = line;
  try {
    return { number, value: read(line.value) };
  } catch (error) {
    return { number, error: asJwtctlError(error) };
  }
}

/** Small enough for early outcomes, large enough to make the cost of store requests negligible. */
const BATCH_LINES = 256;

export interface BulkOptions {
  /** The number of concurrent batches, so that one computes while others wait for a store. */
  atOnce: number;
  signal: AbortSignal;
}

/**
 * Processes the lines of an input in batches, of which only the current ones are in memory. The error of a
 * batch, such as a silent store, is the outcome of each of its lines. Then only the running batches finish.
 */
export class BulkRun<In, Out> {
  readonly #work: (values: readonly In[]) => Promise<ReadonlyArray<Out | JwtctlError>>;
  readonly #options: BulkOptions;
  #brokenBy: JwtctlError | null = null;

  constructor(
    work: (values: readonly In[]) => Promise<ReadonlyArray<Out | JwtctlError>>,
    options: BulkOptions,
  ) {
    this.#work = work;
    this.#options = options;
  }

  /** The error that ended the run early; null otherwise, even if the signal ended it. */
  get brokenBy(): JwtctlError | null {
    return this.#brokenBy;
  }

  async *outcomes(source: LineSource<In>): AsyncGenerator<ReadonlyArray<Line<Out>>, void, void> {
    const batches = inBatches(source.lines);
    const running: Array<Promise<ReadonlyArray<Line<Out>>>> = [];
    let reading: Promise<ReadonlyArray<Line<In>> | null> | undefined;
    let isRead = false;
    try {
      for (;;) {
        if (!isRead && !this.#isEnding && running.length < this.#options.atOnce)
          reading ??= this.#read(batches);
        const [first] = running;
        if (first === undefined && (reading === undefined || this.#isEnding)) return;
        // A line that arrives much later must not delay the outcomes of earlier lines.
        const done = first?.then((outcomes) => ({ outcomes }));
        const read = this.#isEnding ? undefined : reading?.then((batch) => ({ batch }));
        const arrived = await Promise.race([done, read].filter((promise) => promise !== undefined));
        if ('outcomes' in arrived) {
          running.shift();
          yield arrived.outcomes;
          continue;
        }
        reading = undefined;
        isRead = arrived.batch === null;
        if (arrived.batch !== null && !this.#isEnding) running.push(this.#begin(arrived.batch));
      }
    } finally {
      // Finishes all work before the caller continues.
      source.close();
      await Promise.allSettled([...running, reading]);
    }
  }

  get #isEnding(): boolean {
    return this.#options.signal.aborted || this.#brokenBy !== null;
  }

  async #read(batches: AsyncIterator<ReadonlyArray<Line<In>>>): Promise<ReadonlyArray<Line<In>> | null> {
    try {
      const { done, value } = await batches.next();
      return done === true ? null : value;
    } catch (error) {
      this.#brokenBy ??= asJwtctlError(error);
      return null;
    }
  }

  #begin(batch: ReadonlyArray<Line<In>>): Promise<ReadonlyArray<Line<Out>>> {
    const outcomes = this.#outcomesOf(batch);
    // A defect is thrown later, in the order of the batches.
    outcomes.catch(() => {});
    return outcomes;
  }

  async #outcomesOf(batch: ReadonlyArray<Line<In>>): Promise<ReadonlyArray<Line<Out>>> {
    const values = batch.flatMap((line) => ('value' in line ? [line.value] : []));
    const results = await this.#resultsOf(values);
    let from = 0;
    return batch.map((line) => {
      if ('error' in line) return line;
      const result = results[from++] as Out | JwtctlError;
      const { number } = line;
      return result instanceof JwtctlError ? { number, error: result } : { number, value: result };
    });
  }

  async #resultsOf(values: readonly In[]): Promise<ReadonlyArray<Out | JwtctlError>> {
    if (values.length === 0) return [];
    try {
      return await this.#work(values);
    } catch (error) {
      const shared = asJwtctlError(error);
      this.#brokenBy ??= shared;
      return values.map(() => shared);
    }
  }
}

async function* inBatches<T>(lines: AsyncIterable<ReadonlyArray<T>>): AsyncGenerator<ReadonlyArray<T>> {
  for await (const piece of lines) {
    for (let from = 0; from < piece.length; from += BATCH_LINES) yield piece.slice(from, from + BATCH_LINES);
  }
}

/** Rethrows defects. */
function asJwtctlError(error: unknown): JwtctlError {
  if (error instanceof JwtctlError) return error;
  throw error;
}
