import stringWidth from 'string-width';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cli } from '../../../support/cli.js';
import { heartbeatOf } from '../../../support/heartbeats.js';
import { startRedis } from '../../../support/servers.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAt } from '../../../support/terminal.js';
import { verifiersOver } from '../../../support/verifiers.js';

describe.each(BACKENDS)('cache inspect --watch, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
  });
  afterAll(() => stores?.close());
  beforeEach(async () => {
    await stores.json('cache', 'flush', '--all', '--yes');
    stores.clock.advance(10);
    for (const sub of ['alice', 'bob', 'carol']) await issue(sub);
    stores.clock.advance(1);
  });

  const issue = (sub: string): Promise<{ jti: string }> =>
    stores.json('token', 'issue', '--sub', sub, '--create-user');

  /** Watches on a terminal and runs one step after each frame, before the time of the next one. */
  async function watch(
    size: { columns: number; rows: number },
    steps: Array<() => Promise<unknown>>,
    ...words: string[]
  ) {
    const ending = new AbortController();
    const pieces: string[] = [];
    const onOutput = async (piece: string) => {
      pieces.push(piece);
      const step = steps.shift();
      if (step === undefined) ending.abort();
      else await step();
    };
    const terminal = { ...size, signal: ending.signal, onOutput };
    const result = await runAt(terminal, stores, 'cache', 'inspect', '--watch', ...words);
    return { ...result, pieces };
  }

  test('draws each frame over the previous one, and shows changes', async () => {
    const started = stores.clock.now();
    const { exitCode, stderr, pieces } = await watch({ columns: 100, rows: 40 }, [
      async () => {
        await issue('alice');
        await issue('dave');
        await stores.json('token', 'revoke', '--sub', 'bob', '--all', '--yes');
      },
      async () => {},
    ]);

    expect({ exitCode, stderr: stderr.replace(/^.*JWTCTL_REDIS_NODES.*\n/, '') }).toEqual({
      ...{ exitCode: 130, stderr: '' },
    });
    const [first = '', second = '', third = '', end] = pieces;
    expect(pieces).toHaveLength(4);
    expect(first.startsWith('\x1b[2J\x1b[H3 tokens of 3 subjects')).toBe(true);
    expect(first).not.toContain('CHANGE');
    // Two entries were added and one was removed within two seconds.
    expect(second.startsWith('\x1b[H4 tokens of 3 subjects')).toBe(true);
    expect(second).toMatch(/every 2s: \+1 since \d\d:\d\d:\d\dZ/);
    expect(rates(second)).toEqual(['Tokens per second, every 2s', 'new 1.0 1.0 █', 'gone 0.5 0.5 █']);
    expect(second).toMatch(/^k1 +active +4 +100% +\+1 /m);
    expect(third).toMatch(/every 2s: \+0 since \d\d:\d\d:\d\dZ/);
    expect(rates(third)).toEqual(['Tokens per second, every 2s', 'new 0 1.0 █▁', 'gone 0 0.5 █▁']);
    expect(end).toBe('\r\x1b[J');
    expect([first, second, third].map(timeOf)).toEqual([started, started + 2, started + 4]);
    // The cursor is back in place and visible.
    expect(pieces.join('')).not.toContain('\x1b[?');
  });

  test('shows how many tokens running verifiers refuse, unless only a part is inspected', async () => {
    const verifiers = await verifiersOver(stores);
    const report = (refused: number) => {
      const now = stores.clock.now();
      return verifiers.registry.report(heartbeatOf('v1', now, { refused, until: now + 3_000 }));
    };
    try {
      await report(10);
      const steps = () => [() => report(30), async () => {}];
      const { pieces } = await watch({ columns: 100, rows: 40 }, steps());
      expect(rates(pieces[1]).at(-1)).toBe('refused 10 10 █');
      expect(rates(pieces[2]).at(-1)).toBe('refused 0 10 █▁');
      const part = await watch({ columns: 100, rows: 40 }, steps(), '--sub', 'alice');
      expect(rates(part.pieces[1])).toHaveLength(3);
    } finally {
      await verifiers.registry.deregister('v1');
      await verifiers.close();
    }
  });

  test('draws the latest data again when the terminal gets another size', async () => {
    const ending = new AbortController();
    const pieces: string[] = [];
    const onOutput = (piece: string, resize: (columns: number, rows: number) => void) => {
      pieces.push(piece);
      if (pieces.length === 1) resize(60, 12);
      else ending.abort();
    };
    const screen = { columns: 120, rows: 40, signal: ending.signal, onOutput };
    await runAt(screen, stores, 'cache', 'inspect', '--watch', '1h');
    const [wide = '', narrow = ''] = pieces;
    expect(timeOf(narrow)).toBe(timeOf(wide));
    const widest = (piece: string) => Math.max(...piece.split('\n').map((line) => stringWidth(line)));
    expect([widest(wide), widest(narrow)]).toEqual([120, 60]);
    expect(narrow.split('\n').length).toBeLessThanOrEqual(12);
  });

  test.each([
    { columns: 80, rows: 30 },
    { columns: 40, rows: 10 },
    { columns: 30, rows: 5 },
  ])('is at most $columns columns wide and $rows rows tall', async (size) => {
    const { pieces } = await watch(size, [() => issue(`x${'y'.repeat(200)}`)]);
    for (const piece of pieces) {
      const lines = piece.split('\n');
      expect(lines.length).toBeLessThanOrEqual(size.rows);
      for (const line of lines) {
        expect(stringWidth(line)).toBeLessThanOrEqual(size.columns);
      }
    }
    expect(/\d+ more lines/.test(pieces[1] ?? '')).toBe(size.rows < 20);
  });

  test('uses the given interval and selection', async () => {
    const started = stores.clock.now();
    const { pieces } = await watch({ columns: 100, rows: 40 }, [async () => {}], '30s', '--sub', 'alice');
    expect(pieces[1]?.startsWith('\x1b[H1 token of alice in')).toBe(true);
    expect(pieces.slice(0, 2).map(timeOf)).toEqual([started, started + 30]);
  });

  test('writes one line per update with ndjson, with or without a terminal', async () => {
    const ending = new AbortController();
    const lines: Array<Record<string, unknown>> = [];
    const started = stores.clock.now();
    const onOutput = async (text: string) => {
      lines.push(JSON.parse(text));
      if (lines.length === 1) await issue('alice');
      else ending.abort();
    };
    const words = ['cache', 'inspect', '--watch', '5', '-o', 'ndjson'];
    const { exitCode } = await runAt({ signal: ending.signal, onOutput }, stores, ...words);

    expect(exitCode).toBe(130);
    const node = expect.any(String);
    expect(lines).toMatchObject([
      { at: started, complete: true, entries: 3, subjects: 3, change: null },
      {
        ...{ at: started + 5, entries: 4, byKid: [{ kid: 'k1', entries: 4 }] },
        change: {
          ...{ since: started, entries: 1, arrived: 1, gone: 0, arrivedPerSecond: 0.2, gonePerSecond: 0 },
          ...{ refused: null, refusedPerSecond: null },
          byKid: [{ kid: 'k1', entries: 1 }],
          byNode: expect.arrayContaining([{ node, entries: 1 }]),
        },
      },
    ]);
    const aborted = cli({ ...stores, signal: AbortSignal.abort() });
    expect(await aborted.run(...words)).toMatchObject({ exitCode: 130, stdout: '' });
  });

  test.each([
    { words: ['--json'], code: 'ERR_FLAG_COMBINATION' },
    { words: ['-q'], code: 'ERR_FLAG_COMBINATION' },
    { words: ['-o', 'json', '--deep'], code: 'ERR_FLAG_COMBINATION' },
    { words: [], code: 'ERR_TERMINAL_NEEDED' },
  ])('$words is a usage error without a terminal', async ({ words, code }) => {
    const { exitCode, stdout, stderr } = await stores.run('cache', 'inspect', '--watch', ...words);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(words.includes('--json') || words.includes('json') ? code : '--watch');
  });

  test('is a usage error on a dumb terminal or with an invalid interval', async () => {
    const words = ['cache', 'inspect', '--watch'];
    expect((await runAt({ env: { TERM: 'dumb' } }, stores, ...words)).exitCode).toBe(2);
    for (const interval of ['0', '1.5', 'soon']) {
      expect((await runAt({}, stores, ...words, interval)).exitCode).toBe(2);
    }
  });
});

/** Returns the section of the rates, without its header. */
function rates(frame = ''): string[] {
  const [title = '', , ...rows] =
    frame
      .replaceAll('\x1b[K', '')
      .split('\n\n')
      .find((section) => section.startsWith('Tokens per second'))
      ?.split('\n') ?? [];
  return [title, ...rows.map((row) => row.split(/ +/).join(' '))];
}

/** Returns when the data of a frame was read. */
function timeOf(frame: string): number {
  return Date.parse(/\d{4}-\S+Z/.exec(frame)?.[0] ?? '') / 1000;
}

test('a watch continues while Redis is unreachable, and says so', async () => {
  const stores = await openStores('MariaDB and a Redis Cluster');
  const server = await startRedis();
  const redis = { JWTCTL_REDIS_NODES: server.node, JWTCTL_REDIS_MODE: 'standalone' };
  const shell = cli({ ...stores, env: { ...stores.env, ...redis, JWTCTL_TIMEOUT: '1s' } });
  try {
    await shell.json('keys', 'generate');
    await shell.json('token', 'issue', '--sub', 'alice', '--create-user');
    const ending = new AbortController();
    const pieces: string[] = [];
    const onOutput = async (piece: string) => {
      pieces.push(piece);
      if (pieces.length === 1) await server.stop();
      if (pieces.length === 3) ending.abort();
    };
    const screen = { columns: 100, rows: 40, signal: ending.signal, onOutput };
    const { exitCode } = await runAt(screen, shell, 'cache', 'inspect', '--watch');

    expect(exitCode).toBe(130);
    for (const piece of pieces.slice(1, 3)) {
      expect(piece).toContain('no response for');
      expect(piece).toContain('1 token of 1 subject');
    }
    // There is nothing to show if Redis was unreachable from the start.
    expect((await runAt({}, shell, 'cache', 'inspect', '--watch')).exitCode).toBe(4);
  } finally {
    await server.stop();
    await stores.close();
  }
});
