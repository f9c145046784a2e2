import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnCli } from '../../../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('events deliver, on %s', (backend) => {
  let stores: Stores;
  let file = '';
  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('users', 'add', 'alice');
    file = join(stores.home, 'events');
  });
  afterAll(() => stores?.close());
  beforeEach(async () => {
    setCommand(`cat >> ${file}`);
    await stores.json('events', 'deliver');
    writeFileSync(file, '');
  });

  function setCommand(command: string): void {
    stores.env.JWTCTL_HOOKS_COMMAND = command;
  }

  const lines = () => readFileSync(file, 'utf8');

  test('gives the command the lines of events follow, each once', async () => {
    const [{ seq }] = await stores.json('audit', 'list', '--limit', '1');
    await stores.json('users', 'disable', 'alice', '--reason', 'été \u202e');
    await stores.json('users', 'enable', 'alice');
    const dryRun = await stores.json('events', 'deliver', '--dry-run');
    expect(dryRun).toEqual({ delivered: 0, wouldDeliver: 2, dryRun: true });
    expect(lines()).toBe('');
    const { delivered, position } = await stores.json('events', 'deliver');
    const followed = await stores.run('events', 'follow', '--from', String(seq), '--once');
    expect(lines()).toBe(followed.stdout);
    expect({ delivered, position }).toEqual({
      ...{ delivered: 2, position: JSON.parse(followed.lines().at(-1) ?? '').position },
    });
    expect(await stores.json('events', 'deliver')).toEqual({ delivered: 0, position });
    expect(lines()).toBe(followed.stdout);
    const again = await stores.json('events', 'deliver', '--from', String(seq), '--dry-run');
    expect(again).toEqual({ delivered: 0, wouldDeliver: 2, dryRun: true });
    await stores.json('events', 'deliver', '--from', String(seq));
    expect(lines()).toBe(followed.stdout.repeat(2));
  });

  test.each([
    ['exit 3', 'exited with status 3'],
    [`cat >> FILE; sleep 60`, 'did not finish within 1000 ms'],
    ['cat >> FILE; kill $$', 'could not be run'],
  ])('exits with 4 if the command fails, and delivers the events again: %s', async (command, how) => {
    await stores.json('users', 'disable', 'alice');
    await stores.json('users', 'enable', 'alice');
    setCommand(command.replace('FILE', file));
    const result = await stores.run('events', 'deliver', '--json', '--hooks-timeout', '1s');
    expect({ exitCode: result.exitCode, code: result.error().code }).toEqual({
      ...{ exitCode: 4, code: 'ERR_HOOK_COMMAND_FAILED' },
    });
    expect(result.error().message).toContain(how);
    expect(result.error().message).not.toContain(file);
    writeFileSync(file, '');
    setCommand(`cat >> ${file}`);
    expect((await stores.json('events', 'deliver')).delivered).toBe(2);
    expect(lines().match(/user\.(dis|en)abled/g)).toEqual(['user.disabled', 'user.enabled']);
  });

  test('delivers to a command that does not read its input', async () => {
    await stores.json('users', 'disable', 'alice', '--reason', 'x'.repeat(1_000));
    setCommand('true');
    expect((await stores.json('events', 'deliver')).delivered).toBe(1);
  });

  test('needs a command', async () => {
    delete stores.env.JWTCTL_HOOKS_COMMAND;
    const { exitCode, error } = await stores.run('events', 'deliver', '--json');
    expect({ exitCode, code: error().code }).toEqual({ exitCode: 2, code: 'ERR_CONFIG_INCOMPLETE' });
  });

  test('a run that is killed before it stores the position leaves the events to a later one', async () => {
    await stores.json('users', 'enable', 'alice');
    await stores.json('users', 'disable', 'alice');
    await stores.json('users', 'enable', 'alice');
    setCommand(`cat >> ${file}; kill -9 $PPID`);
    const killed = await spawnCli(['events', 'deliver'], { env: stores.env });
    expect(killed.signal).toBe('SIGKILL');
    const first = lines();
    setCommand(`cat >> ${file}`);
    const busy = await stores.run('events', 'deliver');
    expect({ exitCode: busy.exitCode, again: lines() === first }).toEqual({ exitCode: 0, again: true });
    expect(busy.stderr).toContain('Another process is delivering events.');
    const stored = () => stores.query('SELECT position FROM event_consumers');
    const before = await stored();
    const moved = await stores.run('events', 'deliver', '--from', '0', '--json');
    expect([moved.exitCode, moved.error().code]).toEqual([3, 'ERR_EVENTS_DELIVERED_ELSEWHERE']);
    expect([await stored(), lines()]).toEqual([before, first]);
    await stores.query('UPDATE event_consumers SET leased_until = 1');
    await stores.json('events', 'deliver');
    expect(lines()).toBe(first.repeat(2));
  });
});

test('the setting is not allowed in a project file, and is never shown', async () => {
  const stores = await openStores('SQLite', { JWTCTL_HOOKS_COMMAND: 'send --key hunter2' });
  const shown = await stores.run('config', 'show', '-o', 'json');
  expect(shown.stdout).not.toContain('hunter2');
  expect(existsSync(join(stores.home, '.git'))).toBe(false);
  writeFileSync(join(stores.home, 'jwtctl.yaml'), 'hooks: {command: "true"}\n', { mode: 0o600 });
  const { exitCode, error } = await stores.run('config', 'show', '--json');
  expect({ exitCode, code: error().code }).toEqual({
    ...{ exitCode: 2, code: 'ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE' },
  });
});
