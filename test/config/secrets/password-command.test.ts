import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { credentialsReader } from '../../../src/config/secrets/store-credentials.js';
import { type Credentials, dialWith } from '../../../src/domain/shared/credentials.js';
import { Workspace } from '../workspace.js';

const SECRET = 'hunter2';

async function readerOf(command: string, more: Record<string, string> = {}) {
  const env = { JWTCTL_REDIS_PASSWORD_COMMAND: command, ...more };
  const { settings } = await new Workspace().load({ env });
  return credentialsReader('redis', settings, (setting) => ({ setting }));
}

describe('a password from a command', () => {
  it('is its output without the last newline', async () => {
    expect(await (await readerOf(`printf '%s\\n' 'a b$c'`))()).toMatchObject({ password: 'a b$c' });
    expect(await (await readerOf(`printf '%s' ${SECRET}`))()).toMatchObject({ password: SECRET });
  });

  it('is read for each dial, and once more after a refused login', async () => {
    const log = join(new Workspace().root, 'log');
    const read = await readerOf(`echo x >> ${log}; wc -l < ${log}`);
    const dial = async ({ password }: Credentials) => {
      if (password?.trim() === '1') throw new Error('refused');
      return password?.trim();
    };
    expect(await dialWith(read, dial, () => true)).toBe('2');
    expect(await dialWith(read, dial, () => true)).toBe('3');
    expect(readFileSync(log, 'utf8')).toBe('x\nx\nx\n');
  });

  it('is shared by dials at the same time', async () => {
    const log = join(new Workspace().root, 'log');
    const read = await readerOf(`echo x >> ${log}; cat ${log} | wc -l`);
    await Promise.all([read(), read(), read()]);
    expect(readFileSync(log, 'utf8')).toBe('x\n');
  });

  it.each([
    [`echo ${SECRET}; echo ${SECRET} >&2; exit 3`, 'exited with status 3'],
    [`echo ${SECRET}; sleep 60`, 'did not finish within 1000 ms'],
    [`echo ${SECRET}; echo more`, 'did not print exactly one line'],
    ['true', 'did not print exactly one line'],
    [`head -c 5000 /dev/zero | tr '\\0' x`, 'did not print exactly one line'],
    [`yes ${SECRET}`, 'printed more than 65536 bytes'],
    [`no-such-program ${SECRET}`, 'exited with status 127'],
  ])('is refused without showing anything of it: %s', async (command, how) => {
    const read = await readerOf(command, { JWTCTL_TIMEOUT: '1s' });
    const error = await read().then(
      () => null,
      (failure) => failure,
    );
    expect(error).toMatchObject({ code: 'ERR_PASSWORD_COMMAND_FAILED', kind: 'unavailable' });
    expect(error.message).toContain('`redis.passwordCommand`');
    expect(error.message).toContain(how);
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain(SECRET);
  });

  it.each(['mysql', 'redis'])(
    'is refused in a project file, and next to another password: %s',
    async (store) => {
      const space = new Workspace();
      space.write(space.projectFile, `${store}: {passwordCommand: 'echo x'}`);
      expect((await space.refusal()).code).toBe('ERR_CONFIG_FORBIDDEN_IN_PROJECT_FILE');
      space.write(space.projectFile, '');
      space.write(space.userFile, `${store}: {passwordCommand: 'echo x', passwordFile: /run/pw}`);
      expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
    },
  );

  it.each(['mysql', 'redis'])('is not run for an address from a project file: %s', async (store) => {
    const space = new Workspace();
    const address = store === 'mysql' ? 'url: mysql://app@db/jwt' : 'nodes: a:1';
    space.write(space.projectFile, `${store}: {${address}}`);
    space.write(space.userFile, `${store}: {passwordCommand: 'echo x'}`);
    expect((await space.refusal()).code).toBe('ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS');
  });
});
