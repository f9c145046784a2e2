import { JwtctlError } from '../shared/errors.js';

/** A line of an input, by its number from 1 on: what it holds or what became of it, or why that is nothing. */
export type Line<T> = { number: number } & ({ value: T } | FailedLine);

export interface FailedLine {
  error: JwtctlError;
  /** Nobody can tell where the next line begins: what is behind it is not read. */
  isCutOff?: true;
}

/** Lines as they come, for as long as they are asked for. */
export interface LineSource<T> {
  /** As many at a time as there are: none waits for lines that may come later. */
  lines: AsyncIterable<ReadonlyArray<Line<T>>>;
  /** Ends the reading, a wait for what is still to come too. */
  close(): void;
}

/** The same lines with what `read` makes of them; what it throws of ours is why a line fails. */
export function mapLines<In, Out>(source: LineSource<In>, read: (value: In) => Out): LineSource<Out> {
  async function* mapped() {
    for await (const some of source.lines) yield some.map((line) => mapLine(line, read));
  }
  return { lines: mapped(), close: source.close };
}

function mapLine<In, Out>(line: Line<In>, read: (value: In) => Out): Line<Out> {
  if ('error' in line) return line;
  const { number } = line;
  try {
    return { number, value: read(line.value) };
  } catch (error) {
    return { number, error: ours(error) };
  }
}

/** Lines that are worked through together: few enough that their outcomes are soon there, many enough that a question to a store costs nothing beside them. */
const BATCH_LINES = 256;

export interface BulkOptions {
  /** How many batches are under way at once, so that one is computed while others wait for a store. */
  atOnce: number;
  /** Once it is aborted no further batch is begun. */
  signal: AbortSignal;
}

/**
 * Works through the lines of an input, many at a time; memory holds no more than the batches that are under way.
 *
 * A line that fails is an outcome like any other. What fails a batch as a whole (a store that does not answer) is the
 * outcome of each of its lines: no further batch is begun then, and those that are under way are finished.
 */
export class BulkRun<In, Out> {
  readonly #work: (values: readonly In[]) => Promise<ReadonlyArray<Out | JwtctlError>>;
  readonly #options: BulkOptions;
  #brokenBy: JwtctlError | null = null;

  /** @param work what becomes of each of the values, in their order */
  constructor(
    work: (values: readonly In[]) => Promise<ReadonlyArray<Out | JwtctlError>>,
    options: BulkOptions,
  ) {
    this.#work = work;
    this.#options = options;
  }

  /** What ended the run before all lines were begun; null where nothing but the signal did. */
  get brokenBy(): JwtctlError | null {
    return this.#brokenBy;
  }

  /** The outcomes of all lines that were begun, in the order of the lines. */
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
        // Whichever is there first: a line that comes much later must not hold up the outcomes of those before it.
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
      // Nothing of it goes on once whoever asked has left.
      source.close();
      await Promise.allSettled([...running, reading]);
    }
  }

  get #isEnding(): boolean {
    return this.#options.signal.aborted || this.#brokenBy !== null;
  }

  /** Null at the end. What cannot be read any further ends the run. */
  async #read(batches: AsyncIterator<ReadonlyArray<Line<In>>>): Promise<ReadonlyArray<Line<In>> | null> {
    try {
      const { done, value } = await batches.next();
      return done === true ? null : value;
    } catch (error) {
      this.#brokenBy ??= ours(error);
      return null;
    }
  }

  #begin(batch: ReadonlyArray<Line<In>>): Promise<ReadonlyArray<Line<Out>>> {
    const outcomes = this.#outcomesOf(batch);
    // A defect is thrown when its turn has come, not before.
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
      const shared = ours(error);
      this.#brokenBy ??= shared;
      return values.map(() => shared);
    }
  }
}

async function* inBatches<T>(lines: AsyncIterable<ReadonlyArray<T>>): AsyncGenerator<ReadonlyArray<T>> {
  for await (const some of lines) {
    for (let from = 0; from < some.length; from += BATCH_LINES) yield some.slice(from, from + BATCH_LINES);
  }
}

/** A defect is thrown on. */
function ours(error: unknown): JwtctlError {
  if (error instanceof JwtctlError) return error;
  throw error;
}
