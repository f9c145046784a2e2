import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Heartbeat } from '../../src/domain/ports/index.js';
import { cli } from '../support/cli.js';
import { heartbeatOf } from '../support/heartbeats.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';
import { type Verifiers, verifiersOver } from '../support/verifiers.js';

const HOUR = 3_600;

describe.each(BACKENDS)('running verifiers, on %s', (backend) => {
  let stores: Stores;
  let verifiers: Verifiers;
  beforeEach(async () => {
    stores = await openStores(backend, { JWTCTL_KEYS_PUBLISH_LEAD: '20s' });
    await stores.json('keys', 'generate', '--kid', 'first');
    verifiers = await verifiersOver(stores);
  });
  afterEach(async () => {
    await verifiers?.close();
    await stores?.close();
  });

  /** Reports a verifier once; the heartbeat is valid for nearly an hour. */
  async function report(id: string, parts: Partial<Heartbeat> = {}): Promise<void> {
    const now = stores.clock.now();
    await verifiers.registry.report(heartbeatOf(id, now, { until: now + HOUR - 60, ...parts }));
  }

  async function states(): Promise<string[]> {
    const keys = await stores.json('keys', 'list');
    return keys.map(({ kid, state }: { kid: string; state: string }) => `${kid} ${state}`);
  }

  describe('and the next key', () => {
    beforeEach(async () => {
      await stores.json('keys', 'generate', '--kid', 'next');
      stores.clock.advance(3_600);
      await report('ready', { kids: ['first', 'next'] });
      await report('behind', { kids: ['first'], host: 'api-2', pid: 17, readAt: null });
    });
    const due = ['keys', 'rotate', '--if-older-than', '1h'];

    test('rotate waits for a verifier that has not loaded the key, names it, and exits 0', async () => {
      const { exitCode, json, stderr } = await stores.run(...due, '--json');
      expect(exitCode).toBe(0);
      expect(json()).toMatchObject({ rotated: false, reason: 'waiting', active: 'first', pending: 'next' });
      expect(json().stragglers).toEqual([
        {
          id: 'behind',
          version: null,
          host: 'api-2',
          pid: 17,
          readAt: null,
          ...{ startedAt: expect.any(Number), heartbeatAt: expect.any(Number) },
        },
      ]);
      expect(stderr).toMatch(
        /Key next does not sign yet.*api-2 \(pid 17\).*killed verifier stays listed for 15s.*--force/,
      );
      expect((await stores.run(...due, '-q')).stderr).toContain('api-2 (pid 17)');
      expect((await stores.run(...due)).stdout).toContain('some running verifiers have not loaded');
      expect(await states()).toEqual(['first active', 'next pending']);

      await report('behind', { kids: ['first', 'next'] });
      const after = await stores.run(...due, '--json');
      expect(after.json()).toMatchObject({ rotated: true, reason: 'due', active: 'next', stragglers: [] });
      expect(after.stderr).not.toContain('verifier');
    });

    test('rotate stops waiting an hour after the key was due, and names the stragglers', async () => {
      await stores.json(...due);
      stores.clock.advance(HOUR - 30);
      for (const id of ['ready', 'behind']) {
        const kids = id === 'ready' ? ['first', 'next'] : ['first'];
        await report(id, { kids, host: `host-${id}` });
      }
      expect(await stores.json(...due)).toMatchObject({ reason: 'waiting' });
      stores.clock.advance(60);
      const { json, stderr } = await stores.run(...due, '--json');
      expect(json()).toMatchObject({
        rotated: true,
        reason: 'due',
        active: 'next',
        stragglers: [{ id: 'behind' }],
      });
      expect(stderr).toContain('Key next signs now, but');
    });

    test('rotate ignores implausible heartbeats, and warns', async () => {
      await verifiers.registry.deregister('behind');
      const now = stores.clock.now();
      await verifiers.registry.report(heartbeatOf('forged', now, { kids: [], until: now + 99_999 }));
      const { json, stderr } = await stores.run(...due, '--json');
      expect(json()).toMatchObject({ rotated: true, reason: 'due', active: 'next' });
      expect(stderr).toContain('1 invalid heartbeat in Redis was ignored');
    });

    test('rotate --force does not wait for stragglers and says so; a dry run shows it', async () => {
      const dry = await stores.run(...due, '--dry-run', '--json');
      expect(dry.json()).toMatchObject({ reason: 'waiting', wouldRotate: false, stragglers: [{ pid: 17 }] });
      const { exitCode, json, stderr } = await stores.run(...due, '--force', '--json');
      expect(exitCode).toBe(0);
      expect(json()).toMatchObject({ rotated: true, active: 'next', stragglers: [{ host: 'api-2' }] });
      expect(stderr).toMatch(/signs now, but .*api-2 \(pid 17\)/);
    });

    test('rotate --now does not wait, and names the stragglers', async () => {
      const { json, stderr } = await stores.run('keys', 'rotate', '--now', '--json');
      expect(json()).toMatchObject({ rotated: true, reason: 'forced', stragglers: [{ host: 'api-2' }] });
      expect(stderr).toContain('api-2 (pid 17)');
    });

    test('rotate --wait waits as long as the lead, and then names the stragglers', async () => {
      const begun = stores.clock.now();
      const { exitCode, json, stderr } = await stores.run(...due, '--wait', '--json');
      expect(exitCode).toBe(0);
      expect(json()).toMatchObject({ rotated: false, reason: 'waiting', stragglers: [{ host: 'api-2' }] });
      expect(stores.clock.now() - begun).toBe(20);
      expect(stderr).toContain('api-2 (pid 17)');
      expect((await stores.run(...due, '--wait', '7s', '--json')).json()).toMatchObject({
        reason: 'waiting',
      });
      expect(stores.clock.now() - begun).toBe(27);
      expect((await stores.run(...due, '--wait', '0s')).exitCode).toBe(2);
    });

    test('activate refuses until the verifier has loaded the key, unless --now is set', async () => {
      const refused = await stores.run('keys', 'activate', 'next', '--json');
      expect({ exitCode: refused.exitCode, code: refused.error().code }).toEqual({
        ...{ exitCode: 3, code: 'ERR_KEY_NOT_LOADED' },
      });
      expect(refused.error().message).toContain('api-2 (pid 17)');
      expect(refused.error().message).toContain('killed verifier stays listed for 15s');
      expect(refused.error().hint).toContain('`--now`');
      expect(await states()).toEqual(['first active', 'next pending']);
      const { exitCode, stderr } = await stores.run('keys', 'activate', 'next', '--now');
      expect(exitCode).toBe(0);
      expect(stderr).toContain('api-2 (pid 17)');
    });

    test('keys list counts the verifiers that have loaded each key', async () => {
      const keys = await stores.json('keys', 'list');
      expect(keys).toMatchObject([
        { kid: 'first', verifiers: 2 },
        { kid: 'next', verifiers: 1 },
      ]);
      const { stdout } = await stores.run('keys', 'list');
      expect(stdout).toMatch(/first.*2 of 2/);
      expect(stdout).toMatch(/next.*1 of 2/);
    });
  });

  test('a verifier is listed from opening until closing', async () => {
    const known = async () => (await verifiers.shell.json('keys', 'list'))[0].verifiers;
    expect(await known()).toBe(0);
    const verifier = await verifiers.open();
    await verifiers.open();
    const child = await verifiers.spawn();
    await expect.poll(known, { timeout: 5_000 }).toBe(3);
    await verifier.close();
    expect(await known()).toBe(2);
    const { verifiers: fleet } = await verifiers.registry.fleet(verifiers.shell.clock.now());
    expect(fleet.map(({ pid }) => pid).sort()).toEqual([process.pid, child.pid].sort());
    expect(new Set(fleet.map(({ host }) => host))).toEqual(new Set([hostname()]));
  });

  test('a verifier loads a published key by itself, after which the key is activated', async () => {
    const { shell } = verifiers;
    await verifiers.open();
    await expect.poll(async () => (await shell.json('keys', 'list'))[0].verifiers).toBe(1);
    await shell.json('keys', 'generate', '--kid', 'next');
    const known = async () => (await shell.json('keys', 'list'))[1].verifiers;
    await expect.poll(known, { timeout: 15_000 }).toBe(1);
    shell.env.JWTCTL_KEYS_PUBLISH_LEAD = '1s';
    expect(await shell.json('keys', 'rotate', '--now', '--wait')).toMatchObject({
      ...{ rotated: true, active: 'next', stragglers: [] },
    });
  }, 40_000);

  describe('and --wait-fleet', () => {
    let sub: string;
    let token: string;
    beforeEach(async () => {
      sub = 'alice';
      await verifiers.shell.json('users', 'add', sub);
      ({ token } = await verifiers.shell.json('token', 'issue', '--sub', sub));
    });
    const commands = (): Array<[string, string[]]> => [
      ['a token', ['token', 'revoke', token]],
      ['a subject', ['token', 'revoke', '--sub', sub, '--all', '--yes']],
      ['all tokens', ['token', 'revoke', '--issued-before', '2030-01-01T00:00:00Z', '--yes']],
      ['a user', ['users', 'disable', sub]],
      ['a user for good', ['users', 'remove', sub, '--yes']],
      ['a key', ['keys', 'compromise', 'first', '--reason', 'leaked', '--yes']],
    ];

    test('succeeds when all of them have read the event', async () => {
      const { shell } = verifiers;
      await verifiers.open();
      await verifiers.open();
      await verifiers.spawn();
      await expect.poll(async () => (await shell.json('keys', 'list'))[0].verifiers).toBe(3);
      for (const [what, words] of commands().filter(([what]) => what !== 'all tokens')) {
        const { exitCode, json, stderr } = await shell.run(...words, '--wait-fleet', '--json');
        expect({ what, exitCode, fleet: json().fleet, stderr }).toMatchObject({
          ...{ what, exitCode: 0, fleet: { verifiers: 3, acknowledged: 3, stragglers: [] } },
        });
        for (const { log } of (await verifiers.registry.fleet(shell.clock.now())).verifiers) {
          const [{ id }] = (await stores.query('SELECT max(id) AS id FROM security_log')) as [{ id: number }];
          expect(log.position).toBe(Number(id));
        }
        if (what === 'a user for good') continue;
        // Recorded and read before, so it returns at once.
        expect((await shell.run(...words, '--json')).json().fleet).toBeUndefined();
      }
      const again = await shell.json(
        'keys',
        'compromise',
        'first',
        '--reason',
        'leaked',
        '--wait-fleet',
        '1s',
        '--yes',
      );
      expect(again.fleet).toMatchObject({ verifiers: 3, acknowledged: 3 });
    }, 40_000);

    test('names a stopped verifier and exits 5, until the verifier is killed', async () => {
      const { shell } = verifiers;
      await verifiers.open();
      const child = await verifiers.spawn();
      await expect.poll(async () => (await shell.json('keys', 'list'))[0].verifiers).toBe(2);
      child.kill('SIGSTOP');
      const { exitCode, json, stderr } = await shell.run(
        ...['users', 'disable', sub, '--wait-fleet=5s', '--json'],
      );
      expect(exitCode).toBe(5);
      expect(json()).toMatchObject({
        ...{
          status: 'disabled',
          fleet: { verifiers: 2, acknowledged: 1, stragglers: [{ host: hostname(), pid: child.pid }] },
        },
      });
      expect(stderr).toContain(`(pid ${child.pid})`);
      child.kill('SIGKILL');
      // Its last heartbeat expires during the wait.
      expect((await shell.json('users', 'disable', sub, '--wait-fleet', '30s')).fleet).toEqual({
        ...{ verifiers: 1, acknowledged: 1, stragglers: [] },
      });
    }, 60_000);

    test('is shown in the table, and skipped in a dry run', async () => {
      await report('behind', { host: 'api-2', log: { position: 0, missing: [] } });
      const shown = await stores.run('users', 'disable', sub, '--wait-fleet=3s');
      expect(shown.exitCode).toBe(5);
      expect(shown.stdout).toMatch(/^read by +0 of 1 verifier$/m);
      expect(shown.stderr).toMatch(/Recorded, but .* within 3s: api-2.*killed verifier stays listed for 15s/);
      const compromised = await stores.run(
        'keys',
        'compromise',
        'first',
        '--reason',
        'x',
        '--wait-fleet',
        '--yes',
      );
      expect({ exitCode: compromised.exitCode, stdout: compromised.stdout }).toMatchObject({
        ...{ exitCode: 5, stdout: expect.stringMatching(/^read by +0 of 1 verifier$/m) },
      });
      const dry = await stores.run(
        'token',
        'revoke',
        '--sub',
        sub,
        '--all',
        '--wait-fleet',
        '--dry-run',
        '--json',
      );
      expect(dry.exitCode).toBe(0);
      expect(dry.json()).not.toHaveProperty('fleet');
      const dryRemoval = await stores.run('users', 'remove', sub, '--wait-fleet', '--dry-run');
      expect(dryRemoval).toMatchObject({ exitCode: 0, stdout: expect.not.stringContaining('read by') });
      expect(dryRemoval.stdout).toMatch(/^status +would be removed$/m);
      const removed = await stores.run('users', 'remove', sub, '--wait-fleet=1s', '--yes');
      expect(removed.exitCode).toBe(5);
      expect(removed.stdout).toMatch(/^status +removed$/m);
      expect(removed.stdout).toMatch(/^read by +0 of 1 verifier$/m);
    });

    test('detects an unread event below the position of a verifier', async () => {
      const [{ id } = { id: 0 }] = await stores.query('SELECT count(*) AS id FROM security_log');
      const log = {
        position: Number(id) + 50,
        missing: [[1, Number(id) + 50]],
      } as Heartbeat['log'];
      await report('behind', { log });
      expect((await stores.run('users', 'disable', sub, '--wait-fleet=1s')).exitCode).toBe(5);
      await report('behind', { log: { ...log, missing: [] } });
      expect((await stores.run('users', 'disable', sub, '--wait-fleet')).exitCode).toBe(0);
    });

    test('waits for new heartbeats if Redis lost the list of verifiers', async () => {
      const { shell } = verifiers;
      await verifiers.open();
      const child = await verifiers.spawn();
      await expect.poll(async () => (await shell.json('keys', 'list'))[0].verifiers).toBe(2);
      child.kill('SIGSTOP');
      await stores.redis?.client.unlink(`${stores.redis.prefix}:fleet`);
      const disabling = shell.run('users', 'disable', sub, '--wait-fleet=8s', '--json');
      // Resumes late: by then, the other verifier has reported again and has read the event.
      await new Promise((resolve) => setTimeout(resolve, stores.isCluster ? 2_500 : 0));
      child.kill('SIGCONT');
      const { exitCode, json } = await disabling;
      expect({ exitCode, fleet: json().fleet }).toMatchObject({
        ...{ exitCode: 0, fleet: { verifiers: 2, acknowledged: 2, stragglers: [] } },
      });
      await stores.redis?.client.unlink(`${stores.redis.prefix}:fleet`);
      const hurried = await shell.run('users', 'disable', sub, '--wait-fleet=1s', '--json');
      expect([hurried.exitCode, hurried.json().fleet?.verifiers]).toEqual(
        stores.isCluster ? [5, undefined] : [0, 2],
      );
    }, 30_000);
  });
});

describe('with Redis unreachable', () => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_KEYS_PUBLISH_LEAD: '10m' });
    await stores.json('keys', 'generate', '--kid', 'first');
    await stores.json('keys', 'generate', '--kid', 'next');
    stores.clock.advance(3_600);
  });
  afterEach(() => stores?.close());

  async function withoutRedis() {
    const [port] = await closedPorts(1);
    const env = { ...stores.env, JWTCTL_REDIS_NODES: `127.0.0.1:${port}`, JWTCTL_TIMEOUT: '2s' };
    return cli({ env, home: stores.home, clock: stores.clock });
  }

  test('keys list still lists the keys, without a long wait', async () => {
    const shell = await withoutRedis();
    const begun = performance.now();
    const { exitCode, json, stderr } = await shell.run('keys', 'list', '--json');
    expect({ exitCode, keys: json() }).toMatchObject({
      ...{
        exitCode: 0,
        keys: [
          { kid: 'first', verifiers: null },
          { kid: 'next', verifiers: null },
        ],
      },
    });
    expect(stderr).toContain('could not check');
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  test('keys rotate still rotates, and reports that it could not ask the fleet', async () => {
    const shell = await withoutRedis();
    const { exitCode, json, stderr } = await shell.run('keys', 'rotate', '--if-older-than', '1h', '--json');
    expect({ exitCode, rotation: json() }).toMatchObject({
      exitCode: 0,
      rotation: { rotated: true, active: 'next' },
    });
    expect(stderr).toContain('could not check');
  });

  test('keys rotate --wait retries until its limit, and then exits 4 without rotating', async () => {
    const shell = await withoutRedis();
    const begun = stores.clock.now();
    const words = ['keys', 'rotate', '--if-older-than', '1h', '--wait', '3s', '--json'];
    const { exitCode, error, stdout } = await shell.run(...words);
    expect({ exitCode, stdout, code: error().code }).toEqual({
      ...{ exitCode: 4, stdout: '', code: 'ERR_FLEET_UNAVAILABLE' },
    });
    expect(error().message).toContain('for 3s');
    expect(stores.clock.now() - begun).toBe(3);
    expect(await stores.json('keys', 'list')).toMatchObject([{ state: 'active' }, { state: 'pending' }]);
  });

  test('keys compromise --wait-fleet reports that it cannot ask the fleet, and exits 5', async () => {
    const shell = await withoutRedis();
    const words = ['keys', 'compromise', 'first', '--reason', 'leaked', '--wait-fleet=1s', '--json', '--yes'];
    const { exitCode, json, stderr } = await shell.run(...words);
    expect({ exitCode, state: json().state, fleet: json().fleet }).toEqual({
      ...{ exitCode: 5, state: 'compromised', fleet: null },
    });
    expect(stderr).toContain('could not check');
  });
});
