import type { Context } from '../../../app/context.js';
import { writeAuditRow } from '../../../domain/audit-log/write-audit-row.js';
import { BulkRun, type Line, type LineSource } from '../../../domain/batch/line-batches.js';
import type { JwtctlError } from '../../../domain/shared/errors.js';
import { ifReachable } from '../../../domain/shared/unavailable.js';
import type { Invocation } from '../../invocation.js';
import type { Input } from '../../io.js';
import { EXIT } from '../../output/exit-code.js';
import { pluralize } from '../../output/pluralize.js';
import type { Completion, Json, JsonObject, StreamItem, View } from '../../output/view.js';

const BATCHES_AT_ONCE = 4;

export interface Bulk<In, Out> {
  /** For the audit log: `token.issue`. */
  action: string;
  label: string;
  input: Input;
  source: LineSource<In>;
  work(values: readonly In[]): Promise<ReadonlyArray<Out | JwtctlError>>;
  summary(): string;
  isPrinting: boolean;
  close?(): Promise<void>;
}

export interface BulkEnd {
  failed: number;
  lastLine: number;
  complete: boolean;
  exitCode: number;
  /** The error that stopped the run; null if none did, or after an interruption. */
  error: JwtctlError | null;
}

/** Processes an input, with failed lines on stderr. `end` returns the result after the last outcome. */
export function workThrough<In, Out>(
  invocation: Invocation,
  context: Context,
  bulk: Bulk<In, Out>,
): { results: AsyncGenerator<readonly Out[], void, void>; end(): BulkEnd } {
  const { signal } = invocation;
  const run = new BulkRun<In, Out>(bulk.work, { atOnce: BATCHES_AT_ONCE, signal });
  const estimate = new LineEstimate(bulk.input);
  const end: BulkEnd = { failed: 0, lastLine: 0, complete: false, exitCode: EXIT.done, error: null };
  let done = 0;
  let isCutOff = false;

  async function* results(): AsyncGenerator<readonly Out[], void, void> {
    await record('begun', null);
    const progress = await invocation.progress(bulk.label, { whilePrinting: bulk.isPrinting });
    try {
      for await (const lines of run.outcomes(estimate.watch(bulk.source))) {
        const values = take(lines);
        const failures = end.failed === 0 ? '' : `${end.failed} failed`;
        progress.update(done + end.failed, estimate.total, failures);
        yield values;
      }
      end.complete = !signal.aborted && run.brokenBy === null && !isCutOff;
    } finally {
      progress.clear();
      await bulk.close?.();
      await record(end.complete && end.failed === 0 ? 'done' : 'partial', sentence());
    }
  }

  function take(lines: ReadonlyArray<Line<Out>>): Out[] {
    const values: Out[] = [];
    let firstFailed: number | null = null;
    for (const [index, line] of lines.entries()) {
      end.lastLine = line.number;
      if ('value' in line) {
        values.push(line.value);
        continue;
      }
      end.failed += 1;
      isCutOff ||= line.isCutOff === true;
      firstFailed ??= line.number;
      // An error of a whole batch is reported once for all its lines.
      const next = lines[index + 1];
      if (next !== undefined && 'error' in next && next.error === line.error) continue;
      invocation.reportLines(firstFailed, line.number, line.error);
      firstFailed = null;
    }
    done += values.length;
    return values;
  }

  function sentence(): string {
    const failures = end.failed === 0 ? '' : `, ${pluralize(end.failed, 'line')} failed`;
    const early = end.complete ? '' : `; stopped after line ${end.lastLine}`;
    return `${bulk.summary()}${failures}${early}`;
  }

  async function record(outcome: string, reason: string | null): Promise<void> {
    if (invocation.globals.dryRun) return;
    const { clock, actor } = context;
    const target = `lines of ${bulk.input.name}`.slice(0, 900);
    const append = async () => {
      const ports = { database: await context.database(), clock, actor };
      await writeAuditRow(ports, { action: bulk.action, target, outcome, reason });
    };
    // The error that stopped the run takes precedence over an unavailable database.
    await (run.brokenBy === null ? append() : ifReachable(append, undefined));
  }

  return {
    results: results(),
    end: () => ({ ...end, exitCode: end.failed > 0 ? EXIT.partial : EXIT.done, error: run.brokenBy }),
  };
}

/** Streams the outcomes, and prints a summary on stderr: a sentence or, with JSON output, an object. */
export function streamThrough<In, Out>(
  invocation: Invocation,
  context: Context,
  bulk: Omit<Bulk<In, Out>, 'isPrinting' | 'summary'> & {
    done: string;
    item(outcome: Out): StreamItem;
    also?(): { sentences: readonly string[]; data: JsonObject };
  },
): { view: View; completion(): Promise<Completion> } {
  const { format, dryRun } = invocation.globals;
  const done = dryRun ? `would be ${bulk.done}` : bulk.done;
  let count = 0;
  const summary = () => `${pluralize(count, 'token')} ${done}`;
  const { results, end } = workThrough(invocation, context, { ...bulk, summary, isPrinting: true });
  async function* portions(): AsyncGenerator<readonly StreamItem[]> {
    for await (const outcomes of results) {
      count += outcomes.length;
      yield outcomes.map(bulk.item);
    }
  }
  return {
    view: { shape: 'stream', portions: portions() },
    completion: async () => {
      const { failed, lastLine, complete, exitCode, error } = end();
      const also = bulk.also?.();
      const counts: { [name: string]: Json } = {
        [dryRun ? 'planned' : bulk.done]: count,
        failed,
        lastLine,
        complete,
      };
      const sentences = [
        `${summary()}${failed === 0 ? '' : `, ${pluralize(failed, 'line')} failed`}.`,
        ...(complete ? [] : [`Stopped after line ${lastLine}. Later lines were not processed.`]),
        ...(also?.sentences ?? []),
      ];
      const isForPrograms = format === 'json' || format === 'ndjson';
      const diagnostics = isForPrograms
        ? [JSON.stringify({ summary: { ...counts, ...also?.data } })]
        : sentences;
      return {
        ...(complete ? { notes: diagnostics } : { warnings: diagnostics }),
        exitCode,
        ...(error === null ? {} : { error }),
      };
    },
  };
}

/** Estimates the number of lines of an input from the part that has been read. */
class LineEstimate {
  readonly #input: Input;
  #lines = 0;
  #total: number | null = null;

  constructor(input: Input) {
    this.#input = input;
  }

  get total(): number | null {
    return this.#total;
  }

  watch<T>({ lines, close }: LineSource<T>): LineSource<T> {
    const count = (more: number) => {
      this.#lines += more;
      const fraction = this.#input.fractionRead();
      this.#total = fraction === null || fraction === 0 ? null : Math.round(this.#lines / fraction);
    };
    async function* counting() {
      for await (const some of lines) {
        count(some.length);
        yield some;
      }
    }
    return { lines: counting(), close };
  }
}
