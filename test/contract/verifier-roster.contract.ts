import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Heartbeat } from '../../src/domain/ports/index.js';
import { registerOne } from '../support/registering.js';
import type { OpenedRegistry } from './token-registry.contract.js';

export function fleetContract(name: string, open: () => Promise<OpenedRegistry>): void {
  describe(`fleet: ${name}`, () => {
    let opened: OpenedRegistry;
    let now: number;
    beforeEach(async () => {
      opened = await open();
      now = opened.now();
    });
    afterEach(() => opened.close());

    function heartbeat(id: string, parts: Partial<Heartbeat> = {}): Heartbeat {
      return {
        ...{ id, host: 'api-1', pid: 4711, startedAt: now - 60, kids: ['k1', 'k2'] },
        ...{
          log: {
            position: 12,
            missing: [
              [3, 3],
              [7, 9],
            ],
          },
          refused: 5,
          readAt: now - 1,
          at: now,
          until: now + 10,
        },
        ...parts,
      };
    }

    async function ids(at = now): Promise<string[]> {
      return (await opened.registry.fleet(at)).verifiers.map(({ id }) => id);
    }

    test('is empty before the first heartbeat', async () => {
      expect((await opened.registry.fleet(now)).verifiers).toEqual([]);
    });

    test('returns every field of a heartbeat, and the next one replaces it', async () => {
      const { registry } = opened;
      await registry.report(heartbeat('a', { host: 'ünï "c\\ode"\n', readAt: null }));
      expect((await registry.fleet(now)).verifiers).toEqual([
        heartbeat('a', { host: 'ünï "c\\ode"\n', readAt: null }),
      ]);
      const later = heartbeat('a', { kids: [], log: { position: 13, missing: [] } });
      await registry.report(later);
      expect((await registry.fleet(now)).verifiers).toEqual([later]);
    });

    test('refuses a heartbeat that is too long to be read', async () => {
      const kids = Array.from({ length: 800 }, (_, index) => `${index}`.padStart(43, 'k'));
      await expect(opened.registry.report(heartbeat('a', { kids }))).rejects.toMatchObject({
        ...{ kind: 'state', code: 'ERR_HEARTBEAT_TOO_LONG' },
      });
    });

    test('is sorted oldest first', async () => {
      await opened.registry.report(heartbeat('c'));
      await opened.registry.report(heartbeat('b', { startedAt: now - 120 }));
      await opened.registry.report(heartbeat('a'));
      expect(await ids()).toEqual(['b', 'a', 'c']);
    });

    test('keeps a heartbeat for its lifetime plus the clock tolerance', async () => {
      await opened.registry.report(heartbeat('a'));
      expect(await ids(now + 9 + opened.clockToleranceSeconds)).toEqual(['a']);
      expect(await ids(now - 3600)).toEqual(['a']);
    });

    test('deregister removes only the given verifier', async () => {
      await opened.registry.report(heartbeat('a'));
      await opened.registry.report(heartbeat('b'));
      await opened.registry.deregister('a');
      expect(await ids()).toEqual(['b']);
      await opened.registry.deregister('a');
      await opened.registry.deregister('b');
      expect(await ids()).toEqual([]);
    });

    test('keeps 100 concurrent heartbeats', async () => {
      const many = Array.from({ length: 100 }, (_, index) => `v${String(index).padStart(3, '0')}`);
      await Promise.all(many.map((id) => opened.registry.report(heartbeat(id))));
      expect(await ids()).toEqual(many);
    });

    test('is ignored by scans, removals, and token statuses', async () => {
      const { registry } = opened;
      await registry.report(heartbeat('a'));
      await registerOne(registry, 'fleet', { jti: 'j', keyId: 1, iat: now, exp: now + 60 }, { now });
      const subjects: string[] = [];
      const options = { now, withDetails: true };
      await registry.scan((found) => void subjects.push(...found.map(({ sub }) => sub)), options);
      expect(subjects).toEqual(['fleet']);
      expect(await registry.removeEverywhere({}, { now })).toMatchObject({ matched: 1, complete: true });
      expect(await registry.tokenStatus('fleet', { jti: 'j', keyId: 1, iat: now }, now)).toMatchObject({
        exp: null,
      });
      expect(await ids()).toEqual(['a']);
    });
  });
}
