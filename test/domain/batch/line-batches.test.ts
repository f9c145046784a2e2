import { describe, expect, test } from 'vitest';
import { BulkRun, type Line, type LineSource, mapLines } from '../../../src/domain/batch/line-batches.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { collect } from '../../support/collect.js';

const AWAY = new JwtctlError('ERR_REDIS_UNREACHABLE', 'The store is away.');
const WRONG = new JwtctlError('ERR_ROW_INVALID', 'This line is wrong.');

function numbered(from: number, count: number): Array<Line<number>> {
  return Array.from({ length: count }, (_, index) => ({ number: from + index, value: from + index }));
}

/** An input that yields its lines in the given pieces. */
function source<T>(...pieces: Array<Array<Line<T>>>): LineSource<T> & { isClosed(): boolean } {
  let isClosed = false;
  async function* lines() {
    for (const piece of pieces) {
      if (isClosed) return;
      yield piece;
    }
  }
  const close = () => {
    isClosed = true;
  };
  return { lines: lines(), close, isClosed: () => isClosed };
}

function runOf<In, Out>(
  work: (values: readonly In[]) => Promise<ReadonlyArray<Out | JwtctlError>>,
  options: { atOnce?: number; signal?: AbortSignal } = {},
) {
  return new BulkRun<In, Out>(work, { atOnce: 3, signal: new AbortController().signal, ...options });
}

async function outcomesOf<In, Out>(run: BulkRun<In, Out>, input: LineSource<In>): Promise<Array<Line<Out>>> {
  const outcomes: Array<Line<Out>> = [];
  for await (const some of run.outcomes(input)) outcomes.push(...some);
  return outcomes;
}

/** Work that the test completes. */
function held() {
  const begun: number[][] = [];
  const finish: Array<() => void> = [];
  const work = (values: readonly number[]): Promise<string[]> => {
    begun.push([...values]);
    return new Promise((resolve) => finish.push(() => resolve(values.map((value) => `done ${value}`))));
  };
  return { begun, finish, work };
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

describe('outcomes', () => {
  test('come in the order of the lines, whichever batch ends first', async () => {
    const { begun, finish, work } = held();
    const outcomes = outcomesOf(runOf(work), source(numbered(1, 2), numbered(3, 1), numbered(4, 2)));
    await soon();
    expect(begun).toEqual([[1, 2], [3], [4, 5]]);
    for (const finishOne of [...finish].reverse()) finishOne();
    expect(await outcomes).toEqual([1, 2, 3, 4, 5].map((number) => ({ number, value: `done ${number}` })));
  });

  test("are a value, an error from the work, or the line's own error", async () => {
    const run = runOf(async (values: readonly number[]) =>
      values.map((value) => (value === 2 ? WRONG : value * 10)),
    );
    const lines: Array<Line<number>> = [...numbered(1, 2), { number: 7, error: AWAY }, ...numbered(8, 1)];
    expect(await outcomesOf(run, source(lines))).toEqual([
      { number: 1, value: 10 },
      { number: 2, error: WRONG },
      { number: 7, error: AWAY },
      { number: 8, value: 80 },
    ]);
    expect(run.brokenBy).toBeNull();
  });

  test('of available lines do not wait for later ones', async () => {
    let release = () => {};
    const later = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* lines() {
      yield numbered(1, 1);
      await later;
      yield numbered(2, 1);
    }
    const outcomes = runOf(async (values: readonly number[]) => values).outcomes({
      lines: lines(),
      close: release,
    });
    expect((await outcomes.next()).value).toEqual([{ number: 1, value: 1 }]);
    release();
    expect((await outcomes.next()).value).toEqual([{ number: 2, value: 2 }]);
    expect((await outcomes.next()).done).toBe(true);
  });

  test('split a large piece into batches', async () => {
    const sizes: number[] = [];
    const run = runOf(async (values: readonly number[]) => {
      sizes.push(values.length);
      return values;
    });
    expect(await outcomesOf(run, source(numbered(1, 5_000)))).toHaveLength(5_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
    expect(sizes.length).toBeLessThan(50);
  });

  test('of a batch with only invalid lines need no work', async () => {
    const run = runOf(() => Promise.reject(new Error('asked')));
    expect(await outcomesOf(run, source<number>([{ number: 1, error: WRONG }]))).toEqual([
      { number: 1, error: WRONG },
    ]);
  });
});

test('runs at most the allowed batches at once, and reads none ahead', async () => {
  const { begun, finish, work } = held();
  const pieces = Array.from({ length: 9 }, (_, index) => numbered(index + 1, 1));
  const outcomes = runOf(work, { atOnce: 2 }).outcomes(source(...pieces));
  const first = outcomes.next();
  await soon();
  expect(begun).toHaveLength(2);
  finish[0]?.();
  await first;
  await soon();
  expect(begun).toHaveLength(2);
  const second = outcomes.next();
  await soon();
  expect(begun).toHaveLength(3);
  for (const finishOne of finish) finishOne();
  await second;
  for (const finishOne of finish) finishOne();
  await outcomes.return();
});

describe('a store that fails', () => {
  test('is the outcome of each line of its batch; running batches finish, and no other starts', async () => {
    const begun: number[] = [];
    const run = runOf(
      async (values: readonly number[]) => {
        begun.push(...values);
        if (values[0] === 3) throw AWAY;
        return values;
      },
      { atOnce: 2 },
    );
    const input = source(numbered(1, 2), numbered(3, 2), numbered(5, 2), numbered(7, 2));
    const outcomes = await outcomesOf(run, input);
    expect(outcomes.slice(0, 4)).toEqual([
      ...numbered(1, 2),
      { number: 3, error: AWAY },
      { number: 4, error: AWAY },
    ]);
    expect(outcomes.map(({ number }) => number)).toEqual(begun);
    expect(begun).not.toContain(7);
    expect(run.brokenBy).toBe(AWAY);
    expect(input.isClosed()).toBe(true);
  });

  test('ends the wait for the next line', async () => {
    let close = () => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    async function* lines() {
      yield numbered(1, 1);
      await closed;
    }
    const run = runOf(() => Promise.reject(AWAY));
    expect(await outcomesOf(run, { lines: lines(), close })).toEqual([{ number: 1, error: AWAY }]);
  });
});

test('ends after the lines that were read if the input fails', async () => {
  async function* lines() {
    yield numbered(1, 2);
    throw AWAY;
  }
  const run = runOf(async (values: readonly number[]) => values);
  expect(await outcomesOf(run, { lines: lines(), close: () => {} })).toEqual(numbered(1, 2));
  expect(run.brokenBy).toBe(AWAY);
});

test('an interruption starts nothing more, and running batches finish', async () => {
  const interruption = new AbortController();
  const { begun, finish, work } = held();
  const input = source(numbered(1, 1), numbered(2, 1), numbered(3, 1), numbered(4, 1));
  const run = runOf(work, { atOnce: 2, signal: interruption.signal });
  const outcomes = outcomesOf(run, input);
  await soon();
  interruption.abort();
  for (const finishOne of finish) finishOne();
  expect(await outcomes).toEqual([1, 2].map((number) => ({ number, value: `done ${number}` })));
  expect(begun).toEqual([[1], [2]]);
  expect({ brokenBy: run.brokenBy, isClosed: input.isClosed() }).toEqual({ brokenBy: null, isClosed: true });
});

test('leaving early waits for running batches and closes the input', async () => {
  const { finish, work } = held();
  const input = source(numbered(1, 1), numbered(2, 1), numbered(3, 1));
  const outcomes = runOf(work).outcomes(input);
  const first = outcomes.next();
  await soon();
  finish[0]?.();
  await first;
  let hasLeft = false;
  const leaving = outcomes.return().then(() => {
    hasLeft = true;
  });
  await soon();
  expect(hasLeft).toBe(false);
  for (const finishOne of finish) finishOne();
  await leaving;
  expect(input.isClosed()).toBe(true);
});

test('throws a defect after the outcomes before it', async () => {
  const defect = new TypeError('of ours');
  const run = runOf(async (values: readonly number[]) => {
    if (values[0] === 2) throw defect;
    return values;
  });
  const outcomes = run.outcomes(source(numbered(1, 1), numbered(2, 1)));
  expect((await outcomes.next()).value).toEqual(numbered(1, 1));
  await expect(outcomes.next()).rejects.toBe(defect);
});

test('mapLines converts values, turns JwtctlErrors into failed lines, and keeps failed lines', async () => {
  const mapped = mapLines(source([...numbered(1, 2), { number: 3, error: AWAY }]), (value) => {
    if (value === 2) throw WRONG;
    return `<${value}>`;
  });
  const [lines] = await collect(mapped.lines);
  expect(lines).toEqual([
    { number: 1, value: '<1>' },
    { number: 2, error: WRONG },
    { number: 3, error: AWAY },
  ]);
  const defective = mapLines(source(numbered(1, 1)), () => {
    throw new TypeError('of ours');
  });
  await expect(collect(defective.lines)).rejects.toThrow(TypeError);
});
