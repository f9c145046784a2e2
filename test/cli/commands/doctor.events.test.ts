import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../support/stores.js';

describe.each(BACKENDS)('doctor, about events, on %s', (backend) => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  async function check(command?: string) {
    if (command === undefined) delete stores.env.JWTCTL_HOOKS_COMMAND;
    else stores.env.JWTCTL_HOOKS_COMMAND = command;
    const { exitCode, json } = await stores.run('doctor', '--only', 'events', '--json');
    const [{ result, findings }] = json().checks;
    const texts = findings.map((found: Record<string, string>) => `${found.message} ${found.remedy}`);
    return { exitCode, result, texts, code: findings[0]?.code };
  }

  const warnings = async () => (await stores.run('status', '--json')).json().warnings.join('\n');

  test('is not made without hooks.command', async () => {
    expect(await check()).toMatchObject({ exitCode: 0, result: 'not_made' });
    expect(await warnings()).not.toContain('hooks.command');
  });

  test('warns until the first delivery, and passes after it', async () => {
    expect(await check('true')).toMatchObject({
      ...{ exitCode: 0, result: 'warning', texts: [expect.stringMatching(/No process.* schedule/)] },
    });
    expect(await warnings()).toContain('No process has delivered events');
    await stores.json('events', 'deliver');
    const before = await stores.content();
    expect(await check('true')).toMatchObject({ exitCode: 0, result: 'ok' });
    expect(await warnings()).not.toContain('hooks.command');
    expect(await stores.content()).toBe(before);
  });

  test.each([
    ['/no/such/program --key hunter2', '/no/such/program does not exist'],
    ['no-such-program --key hunter2', 'no-such-program does not exist'],
    ['FILE --key hunter2', 'this account cannot execute'],
    ['/etc --key hunter2', 'this account cannot execute /etc'],
  ])('finds that the command cannot run, and shows no arguments: %s', async (command, problem) => {
    const file = join(stores.home, 'on-event');
    writeFileSync(file, '#!/bin/sh\n');
    chmodSync(file, 0o644);
    const { exitCode, texts } = await check(command.replace('FILE', file));
    expect({ exitCode, texts }).toEqual({ exitCode: 1, texts: [expect.stringContaining(problem)] });
    expect(texts.join()).not.toContain('hunter2');
    chmodSync(file, 0o755);
    expect(await check(file)).toMatchObject({ exitCode: 0, result: 'ok' });
  });

  test.each([
    'cd / && cat',
    'A=1 no-such-program',
    '$HOME/no-such-program',
    'if true; then cat; fi',
    'exec cat',
    'send () { cat; }; send',
  ])(
    'accepts a command whose program it cannot determine, or that is built into the shell: %s',
    async (command) => expect(await check(command)).toMatchObject({ exitCode: 0, result: 'ok' }),
  );

  test('knows no problem if the shell cannot be asked', async () =>
    // Longer than an argument can be, so the shell is not started.
    expect(await check('x'.repeat(200_000))).toMatchObject({ exitCode: 0, result: 'ok' }));

  test('finds events that wait for a command that fails, until they are delivered', async () => {
    await stores.json('users', 'disable', 'alice');
    await check('exit 3');
    expect((await stores.run('events', 'deliver')).exitCode).toBe(4);
    stores.clock.advance(300);
    expect(await check('exit 3')).toMatchObject({ exitCode: 0, result: 'ok' });
    stores.clock.advance(1);
    const { exitCode, texts } = await check('exit 3');
    expect({ exitCode, texts }).toEqual({
      ...{
        exitCode: 1,
        texts: [expect.stringMatching(/: 1\. The oldest has waited for 5m1s\. No process.*events deliver/)],
      },
    });
    expect(await warnings()).toContain('Run `jwtctl events deliver`.');

    await stores.query("UPDATE event_consumers SET holder = 'host-one', leased_until = 9999999999");
    expect((await check('exit 3')).texts).toEqual([expect.stringContaining('A process has the lease')]);
    await stores.query("UPDATE event_consumers SET holder = '', leased_until = 0");
    await check('cat >/dev/null');
    expect((await stores.json('events', 'deliver')).delivered).toBe(1);
    expect(await check('true')).toMatchObject({ exitCode: 0, result: 'ok' });
  });

  test('waits for as long as a command can take', async () => {
    stores.env.JWTCTL_HOOKS_TIMEOUT = '10m';
    await stores.json('users', 'enable', 'alice');
    stores.clock.advance(660);
    expect(await check('true')).toMatchObject({ exitCode: 0, result: 'ok' });
    stores.clock.advance(1);
    expect(await check('true')).toMatchObject({ exitCode: 1, result: 'error' });
    delete stores.env.JWTCTL_HOOKS_TIMEOUT;
    await stores.json('events', 'deliver');
  });

  test('only warns of a missing program while another process delivers in time', async () => {
    const lease = "UPDATE event_consumers SET holder = 'host-one', leased_until = ";
    await stores.query(`${lease}9999999999`);
    const { exitCode, result, texts } = await check('/no/such/program');
    expect({ exitCode, result }).toEqual({ exitCode: 0, result: 'warning' });
    expect(texts).toEqual([expect.stringContaining('/no/such/program does not exist')]);
    await stores.query(`${lease}0`);
    expect(await check('/no/such/program')).toMatchObject({ exitCode: 1, result: 'error' });
  });

  test('finds a position of another database, and a missing program', async () => {
    await stores.query(`UPDATE event_consumers SET position = '2-${'0'.repeat(16)}'`);
    expect(await check('true')).toMatchObject({ exitCode: 1, code: 'ERR_POSITION_UNKNOWN' });
    const { texts } = await check('/no/such/program');
    expect(texts).toEqual([
      ...[expect.stringContaining('/no/such/program does not exist'), expect.stringContaining('no position')],
    ]);
    expect((await stores.run('status', '--json')).exitCode).toBe(3);
  });
});
