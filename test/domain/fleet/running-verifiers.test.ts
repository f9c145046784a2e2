import { describe, expect, test } from 'vitest';
import { parseHeartbeat } from '../../../src/domain/fleet/heartbeat.js';
import {
  askFleet,
  askFleetWithin,
  askWholeFleet,
  nameVerifiers,
  withoutKey,
} from '../../../src/domain/fleet/running-verifiers.js';
import { hasRead, waitForVerifiers } from '../../../src/domain/fleet/wait-for-verifiers.js';
import type { FleetLook, Heartbeat, TokenRegistry } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { ManualClock } from '../../support/clock.js';
import { heartbeatOf } from '../../support/heartbeats.js';

const NOW = 1_700_000_000;
const unreachable = new JwtctlError('ERR_REDIS_UNREACHABLE', 'It is down.');
const signal = new AbortController().signal;

function has(id: string): Heartbeat {
  return heartbeatOf(id, NOW, { log: { position: 7, missing: [] } });
}
function lacks(id: string): Heartbeat {
  return heartbeatOf(id, NOW, { log: { position: 8, missing: [[6, 7]] } });
}

/** Answers with each look in turn, then repeats the last. A plain list means that no heartbeat was lost. */
function answering(...looks: Array<Heartbeat[] | FleetLook | Error>): TokenRegistry {
  let look = -1;
  const fleet = async (): Promise<FleetLook> => {
    look = Math.min(look + 1, looks.length - 1);
    const answer = looks[look] ?? [];
    if (answer instanceof Error) throw answer;
    return Array.isArray(answer) ? { verifiers: answer, keptSeconds: Number.POSITIVE_INFINITY } : answer;
  };
  return { fleet } as Partial<TokenRegistry> as TokenRegistry;
}

/** Waits for event 7. The clock advances on each wait. */
async function acknowledgement(registry: TokenRegistry, eventId: number | null = 7) {
  const clock = new ManualClock(NOW);
  let isOver = false;
  const wait = waitForVerifiers({ openRegistry: async () => registry, clock }, eventId, {
    timeoutSeconds: 10,
    signal,
  }).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await Promise.race([wait, clock.awaited()]);
    if (!isOver) clock.advance(1);
  }
  return { report: await wait, seconds: clock.now() - NOW };
}

function keptFor(keptSeconds: number, ...verifiers: Heartbeat[]): FleetLook {
  return { verifiers, keptSeconds };
}

describe('waiting for an event to be read', () => {
  test('ends at once if every verifier has read it, or none is running', async () => {
    const report = { verifiers: 2, acknowledged: 2, stragglers: [] };
    expect(await acknowledgement(answering([has('a'), has('b')]))).toEqual({ report, seconds: 0 });
    expect(await acknowledgement(answering([]))).toMatchObject({
      report: { verifiers: 0, acknowledged: 0 },
      seconds: 0,
    });
  });

  test('continues while a verifier lacks an id below its position', async () => {
    const looks = [
      [has('a'), lacks('b')],
      [has('a'), lacks('b')],
      [has('a'), has('b')],
    ];
    expect(await acknowledgement(answering(...looks))).toMatchObject({
      report: { verifiers: 2, acknowledged: 2 },
      seconds: 2,
    });
  });

  test('treats the list of a fresh registry as incomplete until all have reported again', async () => {
    const both = { verifiers: 2, acknowledged: 2, stragglers: [] };
    expect(
      await acknowledgement(
        answering(
          keptFor(0),
          keptFor(0, has('a')),
          keptFor(3, has('a'), has('b')),
          keptFor(4, has('a'), has('b')),
        ),
      ),
    ).toEqual({ report: both, seconds: 3 });
    expect(
      await acknowledgement(
        answering(keptFor(0, has('a')), keptFor(1, has('a')), keptFor(2, has('a'), lacks('b'))),
      ),
    ).toMatchObject({
      report: { verifiers: 2, acknowledged: 1 },
    });
    expect(await acknowledgement(answering(keptFor(4, has('a'))))).toMatchObject({
      report: { acknowledged: 1 },
      seconds: 0,
    });
  });

  test('accepts an empty list after the reporting time without a loss', async () => {
    expect(await acknowledgement(answering(keptFor(0)))).toMatchObject({
      report: { verifiers: 0 },
      seconds: 4,
    });
    expect(await acknowledgement(answering(keptFor(0), keptFor(0), unreachable, keptFor(0)))).toMatchObject({
      report: { verifiers: 0 },
      seconds: 7,
    });
    expect(
      await acknowledgement(answering(keptFor(2, lacks('a')), keptFor(3, lacks('a')), keptFor(0))),
    ).toMatchObject({
      report: { verifiers: 0 },
      seconds: 6,
    });
  });

  test('ends without a result if the registry keeps losing heartbeats', async () => {
    const lossy = Array.from({ length: 8 }, () => [keptFor(3, has('a')), keptFor(0)]).flat();
    expect(await acknowledgement(answering(...lossy))).toEqual({
      report: { unavailableReason: expect.stringContaining('may be incomplete') },
      seconds: 11,
    });
  });

  test('gives up at the timeout and returns the stragglers', async () => {
    const report = { verifiers: 2, acknowledged: 1, stragglers: [lacks('b')] };
    expect(await acknowledgement(answering([has('a'), lacks('b')]))).toEqual({ report, seconds: 11 });
  });

  test('ignores a verifier that stopped, and counts one that started', async () => {
    expect(await acknowledgement(answering([lacks('a'), has('b')], [has('b')]))).toMatchObject({
      ...{ report: { verifiers: 1, acknowledged: 1, stragglers: [] }, seconds: 1 },
    });
    expect(
      await acknowledgement(answering([lacks('a')], [has('a'), lacks('new')], [has('a'), has('new')])),
    ).toMatchObject({
      ...{ report: { verifiers: 2, acknowledged: 2 }, seconds: 2 },
    });
  });

  test('survives a short failure of the registry, and reports a longer one', async () => {
    expect(await acknowledgement(answering([lacks('a')], unreachable, [has('a')]))).toMatchObject({
      ...{ report: { verifiers: 1, acknowledged: 1 }, seconds: 2 },
    });
    expect(await acknowledgement(answering(unreachable))).toEqual({
      report: { unavailableReason: 'It is down.' },
      seconds: 11,
    });
  });

  test('ends at once if the event has expired', async () => {
    expect(await acknowledgement(answering([lacks('a')]), null)).toMatchObject({
      report: { acknowledged: 1 },
      seconds: 0,
    });
  });

  test('returns the last look when interrupted', async () => {
    const clock = new ManualClock(NOW);
    const interrupting = new AbortController();
    const options = { timeoutSeconds: 10, signal: interrupting.signal };
    const wait = waitForVerifiers({ openRegistry: async () => answering([lacks('a')]), clock }, 7, options);
    await clock.awaited();
    interrupting.abort();
    expect(await wait).toMatchObject({ verifiers: 1, acknowledged: 0 });
  });
});

test('hasRead is true up to the position, except for missing ids', () => {
  const log = {
    position: 9,
    missing: [
      [2, 2],
      [5, 7],
    ] as Array<[number, number]>,
  };
  expect(Array.from({ length: 11 }, (_, id) => id).filter((id) => !hasRead(log, id))).toEqual([
    2, 5, 6, 7, 10,
  ]);
});

test('withoutKey returns the verifiers without the key', () => {
  const verifiers = [heartbeatOf('a', NOW, { kids: ['k1', 'k2'] }), heartbeatOf('b', NOW, { kids: ['k1'] })];
  const fleet = { verifiers, unavailableReason: null };
  expect(withoutKey(fleet, 'k2').map(({ id }) => id)).toEqual(['b']);
  expect(withoutKey(fleet, 'k1')).toEqual([]);
});

test('reports a registry that fails, does not open, or is late; throws a defect', async () => {
  const clock = new ManualClock(NOW);
  const failing = (error: Error) => () => Promise.reject(error);
  expect(await askFleet({ openRegistry: failing(unreachable), clock })).toEqual({
    verifiers: [],
    unavailableReason: 'It is down.',
  });
  await expect(askFleet({ openRegistry: failing(new TypeError('x')), clock })).rejects.toThrow('x');
  expect(await askFleet({ openRegistry: async () => answering(unreachable), clock })).toMatchObject({
    unavailableReason: 'It is down.',
  });
  const silent = () => new Promise<TokenRegistry>(() => {});
  expect(await askFleetWithin(5, { openRegistry: silent, clock })).toMatchObject({
    verifiers: [],
    unavailableReason: expect.any(String),
  });
  expect(
    await askFleetWithin(60_000, { openRegistry: async () => answering([has('a')]), clock }),
  ).toMatchObject({
    unavailableReason: null,
  });
});

describe('all running verifiers, for a key to sign with', () => {
  const loaded = (id: string) => heartbeatOf(id, NOW, { kids: ['k1'] });
  async function whole(registry: TokenRegistry) {
    const clock = new ManualClock(NOW);
    let isOver = false;
    const asked = askWholeFleet({ openRegistry: async () => registry, clock }, 'k1').finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await Promise.race([asked, clock.awaited()]);
      if (!isOver) clock.advance(1);
    }
    const { verifiers, unavailableReason } = await asked;
    return { ids: verifiers.map(({ id }) => id), unavailableReason, seconds: clock.now() - NOW };
  }

  test('are read once if the registry has kept its heartbeats, or one lacks the key', async () => {
    expect(await whole(answering([loaded('a')]))).toEqual({
      ids: ['a'],
      unavailableReason: null,
      seconds: 0,
    });
    expect(await whole(answering(keptFor(0, has('behind'))))).toMatchObject({ ids: ['behind'], seconds: 0 });
    expect(await whole(answering(unreachable))).toEqual({
      ids: [],
      unavailableReason: 'It is down.',
      seconds: 0,
    });
  });

  test('are waited for if the registry has lost heartbeats', async () => {
    const looks = [keptFor(0), keptFor(0, loaded('a')), keptFor(2, loaded('a'), has('behind'))];
    expect(await whole(answering(...looks))).toMatchObject({ ids: ['a', 'behind'], unavailableReason: null });
    expect(await whole(answering(keptFor(0)))).toEqual({ ids: [], unavailableReason: null, seconds: 4 });
  });

  test('are unknown if the registry keeps losing heartbeats', async () => {
    const lossy = Array.from({ length: 8 }, () => [keptFor(3, loaded('a')), keptFor(0)]).flat();
    expect(await whole(answering(...lossy))).toEqual({
      ids: [],
      unavailableReason: expect.stringContaining('may be incomplete'),
      seconds: 12,
    });
  });
});

test('names a few verifiers, safe for the terminal', () => {
  const many = Array.from({ length: 12 }, (_, index) => heartbeatOf(`v${index}`, NOW));
  expect(nameVerifiers(many)).toMatch(/^host-v0 \(pid 4711\), .*host-v9 \(pid 4711\), 2 more$/);
  expect(nameVerifiers([heartbeatOf('a', NOW, { host: '\x1b[2Jx' })])).toBe('\\u001b[2Jx (pid 4711)');
});

describe('a stored heartbeat', () => {
  const whole = heartbeatOf('a', NOW, { kids: ['k'], log: { position: 3, missing: [[1, 2]] } });

  test('is parsed without unknown members', () => {
    expect(parseHeartbeat(JSON.stringify({ ...whole, more: 1 }))).toEqual(whole);
    expect(parseHeartbeat(JSON.stringify({ ...whole, readAt: null }))?.readAt).toBeNull();
  });

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{}',
    JSON.stringify({ ...whole, log: null }),
    JSON.stringify({ ...whole, pid: '1' }),
    JSON.stringify({ ...whole, until: 1.5 }),
    JSON.stringify({ ...whole, kids: [1] }),
    JSON.stringify({ ...whole, readAt: 'x' }),
    JSON.stringify({ ...whole, log: { position: 3, missing: [[1, 2, 3]] } }),
    JSON.stringify({ ...whole, log: { position: 3, missing: ['1'] } }),
  ])('is ignored if it is invalid: %s', (text) => {
    expect(parseHeartbeat(text)).toBeNull();
  });
});
