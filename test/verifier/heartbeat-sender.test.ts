import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asVerifyOnly, generateKeys } from '../../src/domain/keys/generate.js';
import type { SigningKey } from '../../src/domain/model/signing-key.js';
import type { Heartbeat, SecurityEvent, SecurityLog } from '../../src/domain/ports/index.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { revokeToken } from '../../src/domain/tokens/revoke.js';
import { Follower } from '../../src/verifier/follower.js';
import { HeartbeatSender } from '../../src/verifier/heartbeat-sender.js';
import { KeyCache } from '../../src/verifier/key-cache.js';
import { SecurityLogTail } from '../../src/verifier/security-log-tail.js';
import { StoreState } from '../../src/verifier/store-state.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../support/embedded-service.js';

const outage = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is down.');

let service: EmbeddedService;
let follower: Follower;
let isDatabaseAway: boolean;
let isRegistryAway: boolean;
let deregistrations: number;
let warnings: string[];
let refusals: { count: number };
let sent: Heartbeat[];

beforeEach(async () => {
  service = await openEmbeddedService();
  isDatabaseAway = false;
  isRegistryAway = false;
  sent = [];
  deregistrations = 0;
  warnings = [];
  refusals = { count: 0 };
  const { clock, database } = service;
  const { registry } = service.withRegistry({
    report: async (heartbeat) => {
      if (isRegistryAway) throw outage;
      sent.push(heartbeat);
      await service.registry.report(heartbeat);
    },
    deregister: async (id) => {
      deregistrations += 1;
      await service.registry.deregister(id);
    },
  });
  const reading = async <T>(read: () => Promise<T>): Promise<T> => {
    if (isDatabaseAway) throw outage;
    return read();
  };
  const keys = new KeyCache({ snapshot: () => reading(() => database.keys.snapshot()) }, clock);
  const log = database.securityLog;
  const tail = new SecurityLogTail({ listAfter: (...page) => reading(() => log.listAfter(...page)) }, clock);
  const warn = (text: string) => void warnings.push(text);
  const heartbeatSender = new HeartbeatSender({
    registry,
    keys,
    tail,
    clock,
    state: new StoreState(clock),
    refusals,
    warn,
  });
  follower = new Follower({
    ...{ keys, tail, clock, heartbeatSender, state: new StoreState(clock) },
    watch: { checkServer: async () => {}, evaluate: () => false },
  });
});
afterEach(async () => {
  await follower.end();
  await service.close();
});

async function fleet(): Promise<Heartbeat[]> {
  return (await service.registry.fleet(service.clock.now())).verifiers;
}

/** Waits until the follower does nothing more without a clock change. */
async function settled(): Promise<void> {
  for (let before = -1; before !== sent.length; ) {
    before = sent.length;
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await settled();
    service.clock.advance(1);
  }
  await settled();
}

async function revoke(): Promise<void> {
  const { jti } = await service.issueTo('alice');
  await revokeToken(service.ports, POLICY, { sub: 'alice', jti }, { reason: null, dryRun: false });
}

describe('a running verifier', () => {
  test('sends a heartbeat before the first read, and one after it', async () => {
    await revoke();
    await follower.begin();
    await settled();
    const [first, second] = sent;
    expect(first).toMatchObject({
      pid: process.pid,
      kids: [],
      log: { position: 0, missing: [] },
      readAt: null,
    });
    expect(second).toMatchObject({ id: first?.id, kids: ['k1'], log: { position: 1, missing: [] } });
    expect(await fleet()).toEqual([second]);
  });

  test('reports how many tokens it has refused, with the next heartbeat', async () => {
    await follower.begin();
    await settled();
    refusals.count = 3;
    await pass(2);
    expect(sent.map(({ refused }) => refused)).toEqual([0, 0, 3]);
  });

  test('sends a heartbeat every 2 s, valid for 10 s, if nothing changes', async () => {
    await follower.begin();
    await pass(6);
    const now = service.clock.now();
    expect(sent.slice(1).map(({ at }) => at - now)).toEqual([-6, -4, -2, 0]);
    expect(sent.at(-1)).toMatchObject({ until: now + 10 });
    // In each second, the read and the heartbeat may come in either order.
    expect(sent.at(-1)?.readAt).toBeGreaterThanOrEqual(now - 1);
  });

  test('reports a new event right after it read the event', async () => {
    await follower.begin();
    await pass(2);
    await revoke();
    await pass(1);
    expect((await fleet())[0]?.log.position).toBe(1);
  });

  test('reports a new key once it has loaded the key', async () => {
    await follower.begin();
    await pass(1);
    const key = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: 60, kid: 'next' } as const;
    await generateKeys(service.ports, key);
    await pass(10);
    expect((await fleet())[0]?.kids).toEqual(['k1', 'next']);
  });

  test('is listed when it has loaded 800 imported keys, which it does not report', async () => {
    const { keys } = await service.database.keys.snapshot();
    const { publicKey } = keys[0] as SigningKey;
    await service.database.transaction(async (stores) => {
      for (let id = 1; id <= 800; id++) {
        const kid = `${id}`.padStart(43, 'k');
        await stores.keys.insert(asVerifyOnly({ id, kid, alg: 'RS256', bits: 2048, publicKey }, null, 1));
      }
    });
    await follower.begin();
    await pass(4);
    expect(await fleet()).toMatchObject([{ kids: ['k1'] }]);
  });

  test('keeps sending the same content while the database is down', async () => {
    await follower.begin();
    await pass(1);
    isDatabaseAway = true;
    const readAt = service.clock.now();
    await revoke();
    await pass(60);
    expect(await fleet()).toMatchObject([{ log: { position: 0 }, readAt }]);
    expect(sent.at(-1)?.at).toBeGreaterThanOrEqual(readAt + 58);
    isDatabaseAway = false;
    await pass(1);
    expect(await fleet()).toMatchObject([{ log: { position: 1 }, readAt: service.clock.now() }]);
  });

  test('keeps reading while the registry is down, and reports as soon as it is back', async () => {
    await follower.begin();
    isRegistryAway = true;
    await revoke();
    await pass(20);
    expect(await fleet()).toEqual([]);
    isRegistryAway = false;
    await pass(1);
    expect(await fleet()).toMatchObject([{ log: { position: 1 }, at: service.clock.now() }]);
  });

  test('warns once per outage, when the last accepted heartbeat expires', async () => {
    await follower.begin();
    await pass(4);
    isRegistryAway = true;
    await pass(14);
    expect(await fleet()).toHaveLength(1);
    expect(warnings).toEqual([]);
    await pass(2);
    expect(await fleet()).toEqual([]);
    expect(warnings).toHaveLength(1);
    await pass(60);
    expect(warnings).toEqual([
      expect.stringMatching(/^For 15s, .*commands do not wait for it: Redis is down\.$/),
    ]);
    isRegistryAway = false;
    await pass(1);
    isRegistryAway = true;
    await pass(30);
    expect(warnings).toHaveLength(2);
  });

  test('deregisters when it ends and when it fails to begin', async () => {
    await follower.begin();
    await pass(1);
    await follower.end();
    expect(await fleet()).toEqual([]);
    isDatabaseAway = true;
    await expect(follower.begin()).rejects.toBe(outage);
    expect(sent.length).toBeGreaterThan(0);
    expect(await fleet()).toEqual([]);
  });
});

test('does not deregister if the registry did not accept the last heartbeat', async () => {
  await follower.begin();
  await pass(1);
  isRegistryAway = true;
  await pass(3);
  await follower.end();
  expect(deregistrations).toBe(0);
});

describe('the reported progress in the log', () => {
  function event(id: number): SecurityEvent {
    const names = { sub: 'alice', jti: `j${id}`, kid: null, issuedBefore: null, userVersion: null };
    return { id, type: 'token_revoked', ...names, reason: null, at: service.clock.now(), expiresAt: 9e9 };
  }

  function tailOver(ids: readonly number[]): SecurityLogTail {
    const log: Pick<SecurityLog, 'listAfter'> = {
      listAfter: async (after, limit) =>
        ids
          .filter((id) => id > after)
          .sort((a, b) => a - b)
          .slice(0, limit)
          .map(event),
    };
    return new SecurityLogTail(log, service.clock);
  }

  test('lists missing ids until they appear or time out', async () => {
    const ids = [1, 2, 4, 8];
    const tail = tailOver(ids);
    await tail.read();
    expect(tail.progress).toEqual({
      position: 8,
      missing: [
        [3, 3],
        [5, 7],
      ],
    });
    ids.push(6);
    service.clock.advance(1);
    await tail.read();
    expect(tail.progress).toEqual({
      position: 8,
      missing: [
        [3, 3],
        [5, 5],
        [7, 7],
      ],
    });
    ids.push(3, 5, 7);
    service.clock.advance(1);
    await tail.read();
    expect(tail.progress).toEqual({ position: 8, missing: [] });
    ids.push(11);
    await tail.read();
    expect(tail.progress).toEqual({ position: 11, missing: [[9, 10]] });
    service.clock.advance(59);
    await tail.read();
    expect(tail.progress).toEqual({ position: 11, missing: [[9, 10]] });
  });

  test('merges the oldest of more than 100 gaps', async () => {
    const tail = tailOver(Array.from({ length: 200 }, (_, index) => 3 * index + 1));
    await tail.read();
    const { position, missing } = tail.progress;
    expect({ position, count: missing.length, first: missing[0], last: missing.at(-1) }).toEqual({
      ...{ position: 598, count: 101, first: [2, 297], last: [596, 597] },
    });
  });
});
