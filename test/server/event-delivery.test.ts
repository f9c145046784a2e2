import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { expect, test, vi } from 'vitest';
import type { Context } from '../../src/app/context.js';
import { JwtctlError } from '../../src/domain/shared/errors.js';
import { startEventDelivery } from '../../src/server/event-delivery.js';
import { parseNdjson } from '../support/ndjson.js';
import { get, startServed } from '../support/served.js';
import { openStores } from '../support/stores.js';

test('serve delivers events, and again after the command has failed, which it logs once', async () => {
  const stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
  const [file, broken] = ['events', 'broken'].map((name) => join(stores.home, name));
  const command = `test ! -e ${broken} && cat >> ${file}`;
  const served = await startServed({ ...stores.env, JWTCTL_HOOKS_COMMAND: command });
  try {
    await served.logged('this process delivers the events');
    await stores.json('users', 'disable', 'alice');
    const events = () =>
      vi.waitFor(
        () => {
          const text = existsSync(String(file)) ? readFileSync(String(file), 'utf8') : '';
          const last = text.trim().split('\n').pop() ?? '';
          if (!last.includes('user.enabled')) throw new Error(text);
          return parseNdjson(text).map(({ event }) => event);
        },
        { timeout: 15_000, interval: 50 },
      );
    await vi.waitFor(() => expect(readFileSync(String(file), 'utf8')).toContain('user.disabled'), {
      ...{ timeout: 15_000, interval: 50 },
    });
    writeFileSync(String(broken), '');
    await stores.json('users', 'enable', 'alice');
    await served.logged('events are not delivered');
    const metrics = (await get(served.port, '/metrics')).body;
    expect(metrics).toMatch(/^jwtctl_event_delivery_lag_seconds \d/m);
    rmSync(String(broken));
    await served.logged('events are delivered again');
    expect(await events()).toEqual(['user.disabled', 'user.enabled']);
    const failures = served.lines().filter(({ code }) => code === 'ERR_HOOK_COMMAND_FAILED');
    expect(failures).toHaveLength(1);
    served.signal('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    const [{ leased_until: leasedUntil }] = (await stores.query('SELECT * FROM event_consumers')) as [
      { leased_until: number },
    ];
    expect(leasedUntil).toBe(0);
  } finally {
    await served.kill();
  }
});

test('tries again if the store of the position cannot be opened', async () => {
  const stop = new AbortController();
  const outage = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'MySQL is down.');
  let opened = 0;
  let delivered = 0;
  const deliver = async () => {
    delivered += 1;
    // First, another process has the lease.
    if (delivered === 1) return { events: 0, isHolder: false, position: null };
    stop.abort();
    logged.push('(the lease is free)');
    return { events: 1, isHolder: true, position: null };
  };
  const context = {
    clock: { now: () => 0, pause: async () => {} },
    eventDelivery: async () => {
      opened += 1;
      if (opened === 1) throw outage;
      return { pendingSince: null, deliver, release: async () => {} };
    },
  } as unknown as Context;
  const logged: string[] = [];
  const log = {
    info: (text: string) => void logged.push(text),
    error: (_: object, text: string) => void logged.push(text),
  } as unknown as Logger;
  await startEventDelivery(context, { log, stop: stop.signal, metrics: { onEventLag: () => {} } });
  expect(logged).toEqual([
    'events are not delivered: MySQL is down.',
    '(the lease is free)',
    'events are delivered again',
  ]);
});
