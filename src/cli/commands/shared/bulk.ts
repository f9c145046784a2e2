import { Option } from 'commander';
import type { Context } from '../../../app/context.js';
import { writeAuditRow } from '../../../domain/audit-log/write-audit-row.js';
import { BulkRun, type Line, type LineSource } from '../../../domain/batch/line-batches.js';
import type { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { ifReachable } from '../../../domain/shared/unavailable.js';
import type { Invocation } from '../../invocation.js';
import type { Input, RecordFormat } from '../../io.js';
import { EXIT } from '../../output/exit-code.js';
import type { Completion, JsonObject, StreamItem, View } from '../../output/view.js';

const BATCHES_AT_ONCE = 4;

export function formatOption(what: string): Option {
  const formats: RecordFormat[] = ['text', 'csv', 'ndjson'];
  const byDefault = 'default: from the file name or, failing that, the content';
  return new Option('--format <format>', `${what} (${byDefault})`).choices(formats);
}

export type ErrorPlace = 'stderr' | 'stdout';

export function errorsOption(): Option {
  return new Option(
    '--errors <place>',
    'where to report failed lines; stdout prints an object with `line` and `error` in the order of the input (default: stderr)',
  ).choices(['stderr', 'stdout']);
}

export interface Bulk<In, Out> {
  /** For the audit log: `token.issue`. */
  action: string;
  /** What a line is, for messages: `token`. */
  noun: string;
  label: string;
  input: Input;
  source: LineSource<In>;
  work(values: readonly In[]): Promise<ReadonlyArray<Out | JwtctlError>>;
  /** @param done the number of lines that did not fail */
  summary(done: number): string;
  isPrinting: boolean;
  /** Default: `stderr` */
  errors: ErrorPlace | undefined;
  close?(): Promise<void>;
}

export interface BulkEnd {
  /** Lines that did not fail. */
  done: number;
  failed: number;
  lastLine: number;
  complete: boolean;
  exitCode: number;
  /** For people: the failed lines by error code. */
  failures: readonly string[];
  /** The error that stopped the run; null if none did, or after an interruption. */
  error: JwtctlError | null;
}

/**
 * Processes an input. Failed lines go to stderr: for people by error code, at the end, and with `--verbose` also
 * one by one. `end` returns the result after the last outcome.
 */
export function workThrough<In, Out>(
  invocation: Invocation,
  context: Context,
  bulk: Bulk<In, Out>,
): { results: AsyncGenerator<ReadonlyArray<Line<Out>>, void, void>; end(): BulkEnd } {
  const { signal, globals } = invocation;
  const isForPeople = globals.format === 'table' || globals.format === 'quiet';
  const isEachListed = bulk.errors !== 'stdout' && (globals.isVerbose || !isForPeople);
  const failures = new FailedLines(bulk.noun);
  const run = new BulkRun<In, Out>(bulk.work, { atOnce: BATCHES_AT_ONCE, signal });
  const estimate = new LineEstimate(bulk.input);
  const end = { done: 0, failed: 0, lastLine: 0, complete: false };
  let isCutOff = false;

  async function* results(): AsyncGenerator<ReadonlyArray<Line<Out>>, void, void> {
    await record('begun', null);
    const progress = await invocation.progress(bulk.label, { whilePrinting: bulk.isPrinting });
    try {
      for await (const lines of run.outcomes(estimate.watch(bulk.source))) {
        take(lines);
        const failed = end.failed === 0 ? '' : `${end.failed} failed`;
        const { total, isExact } = estimate;
        progress.update(end.done + end.failed, total, failed, { isEstimated: !isExact });
        yield lines;
      }
      end.complete = !signal.aborted && run.brokenBy === null && !isCutOff;
    } finally {
      progress.clear();
      await bulk.close?.();
      await record(end.complete && end.failed === 0 ? 'done' : 'partial', sentence());
    }
  }

  function take(lines: ReadonlyArray<Line<Out>>): void {
    let firstFailed: number | null = null;
    for (const [index, line] of lines.entries()) {
      end.lastLine = line.number;
      if ('value' in line) {
        end.done += 1;
        continue;
      }
      end.failed += 1;
      isCutOff ||= line.isCutOff === true;
      failures.add(line.number, line.error);
      firstFailed ??= line.number;
      // An error of a whole batch is reported once for all its lines.
      const next = lines[index + 1];
      if (next !== undefined && 'error' in next && next.error === line.error) continue;
      if (isEachListed) invocation.reportLines(firstFailed, line.number, line.error);
      firstFailed = null;
    }
  }

  function sentence(): string {
    const failures = end.failed === 0 ? '' : `, ${pluralize(end.failed, 'line')} failed`;
    const early = end.complete ? '' : `; stopped after line ${end.lastLine}`;
    return `${bulk.summary(end.done)}${failures}${early}`;
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
    end: () => ({
      ...end,
      exitCode: end.failed > 0 ? EXIT.partial : EXIT.done,
      failures: isForPeople ? failures.sentences() : [],
      error: run.brokenBy,
    }),
  };
}

/** Streams the outcomes, and prints a summary on stderr: a sentence or, with JSON output, an object. */
export function streamThrough<In, Out>(
  invocation: Invocation,
  context: Context,
  bulk: Omit<Bulk<In, Out>, 'isPrinting'> & {
    item(outcome: Out): StreamItem;
    counts(done: number): { [name: string]: number };
    also?(): { sentences: readonly string[]; data: JsonObject };
  },
): { view: View; completion(): Promise<Completion> } {
  const { format } = invocation.globals;
  const { results, end } = workThrough(invocation, context, { ...bulk, isPrinting: true });
  async function* portions(): AsyncGenerator<readonly StreamItem[]> {
    for await (const lines of results) yield itemsOf(lines, bulk.item, bulk.errors);
  }
  return {
    view: { shape: 'stream', portions: portions() },
    completion: async () => {
      const { done, failed, lastLine, complete, exitCode, failures, error } = end();
      const also = bulk.also?.();
      const counts = { ...bulk.counts(done), failed, lastLine, complete };
      const sentences = [
        `${bulk.summary(done)}${failed === 0 ? '' : `, ${pluralize(failed, 'line')} failed`}.`,
        ...(complete ? [] : [`Stopped after line ${lastLine}. Later lines were not processed.`]),
        ...(also?.sentences ?? []),
      ];
      const isForPrograms = format === 'json' || format === 'ndjson';
      const diagnostics = isForPrograms
        ? [JSON.stringify({ summary: { ...counts, ...also?.data } })]
        : sentences;
      return {
        ...(complete
          ? { notes: diagnostics, warnings: failures }
          : { warnings: [...failures, ...diagnostics] }),
        exitCode,
        ...(error === null ? {} : { error }),
      };
    },
  };
}

/** Returns the items of a view. With `stdout`, a failed line has one too, in its place. */
function itemsOf<Out>(
  lines: ReadonlyArray<Line<Out>>,
  item: (outcome: Out) => StreamItem,
  errors: ErrorPlace | undefined,
): StreamItem[] {
  return lines.flatMap((line) => {
    if ('value' in line) return [item(line.value)];
    const { code, message } = line.error;
    return errors === 'stdout' ? [{ data: { line: line.number, error: { code, message } }, id: code }] : [];
  });
}

/** Groups failed lines by error code. */
class FailedLines {
  readonly #noun: string;
  readonly #groups = new Map<string, FailedGroup>();

  constructor(noun: string) {
    this.#noun = noun;
  }

  add(number: number, { code, message }: JwtctlError): void {
    const group: FailedGroup = this.#groups.get(code) ?? { count: 0, ranges: [], examples: new Map() };
    this.#groups.set(code, group);
    group.count += 1;
    const reason = message.replace(VALUES, '');
    if (group.examples.size < MOST_EXAMPLES && !group.examples.has(reason))
      group.examples.set(reason, `Line ${number}: ${message}`);
    const last = group.ranges.at(-1);
    if (last?.to === number - 1) last.to = number;
    // Limits the memory, and one more shows that there are more.
    else if (group.ranges.length <= MOST_RANGES) group.ranges.push({ from: number, to: number });
  }

  sentences(): string[] {
    return [...this.#groups].map(([code, { count, ranges, examples }]) => {
      const shown = ranges
        .slice(0, MOST_RANGES)
        .map(({ from, to }) => (from === to ? `${from}` : `${from}–${to}`));
      const more = ranges.length > MOST_RANGES ? ', …' : '';
      const lines = `${count === 1 ? 'line' : 'lines'} ${shown.join(', ')}${more}`;
      return `${pluralize(count, this.#noun)}: ${code} (${lines})${[...examples.values()].map((example) => `\n  ${example}`).join('')}`;
    });
  }
}

interface FailedGroup {
  count: number;
  ranges: Array<{ from: number; to: number }>;
  /** The first failure for each reason, which is the message without values. */
  examples: Map<string, string>;
}

const MOST_RANGES = 10;
const MOST_EXAMPLES = 5;
const VALUES = /'[^']*'|"[^"]*"|\d+/g;

/** The words of `token issue` and `token register`. */
export function tokenWords(done: string, { dryRun }: { dryRun: boolean }) {
  return {
    noun: 'token',
    counts: (count: number) => ({ [dryRun ? 'planned' : done]: count }),
    summary: (count: number) => `${pluralize(count, 'token')} ${dryRun ? 'would be ' : ''}${done}`,
  };
}

/** Estimates the number of lines of an input from the part that has been read. */
class LineEstimate {
  readonly #input: Input;
  #lines = 0;
  #total: number | null = null;
  #isExact = false;

  constructor(input: Input) {
    this.#input = input;
  }

  get total(): number | null {
    return this.#total;
  }

  /** Whether the whole input has been read. */
  get isExact(): boolean {
    return this.#isExact;
  }

  watch<T>({ lines, close }: LineSource<T>): LineSource<T> {
    const count = (more: number) => {
      this.#lines += more;
      const fraction = this.#input.fractionRead();
      this.#total = fraction === null || fraction === 0 ? null : Math.round(this.#lines / fraction);
    };
    const finish = () => {
      this.#isExact = true;
    };
    async function* counting() {
      for await (const some of lines) {
        count(some.length);
        yield some;
      }
      finish();
    }
    return { lines: counting(), close };
  }
}
