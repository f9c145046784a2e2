import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../../src/config/settings.js';
import { Workspace } from '../workspace.js';

const RESTRICTING = SETTINGS.filter(({ restricts }) => restricts);

test.each(RESTRICTING)('$path without a value is refused, in a file and in a variable', async (setting) => {
  const space = new Workspace();
  const refused = { kind: 'usage', code: 'ERR_CONFIG_VALUE_INVALID' };
  const named = expect.stringContaining(`${setting.path} has no value`);
  expect(await space.refusal({ env: { [setting.variable]: '' } })).toMatchObject({
    ...refused,
    message: named,
  });
  const groups = setting.path.split('.');
  const yaml = groups.map((name, level) => `${'  '.repeat(level)}${name}:`).join('\n');
  space.write(space.userFile, `${yaml}\n`);
  expect(await space.refusal()).toMatchObject({ ...refused, message: named });
});

describe.each(['mysql', 'redis', 'serve'])('%s.tls', (group) => {
  test.each(['', ' {}'])('without members is refused: "tls:%s"', async (value) => {
    const space = new Workspace();
    space.write(space.userFile, `profiles:\n  prod:\n    ${group}:\n      tls:${value}\n`);
    const { code, message } = await space.refusal();
    expect([code, message]).toEqual([
      'ERR_CONFIG_VALUE_INVALID',
      expect.stringContaining(`${group}.tls has no value`),
    ]);
  });
});

test.each([
  'token: {acceptTypes: []}',
  'token: {acceptTypes: [""]}',
  'users: {enabledWhere: ""}',
  'keys: {publishUrl: ""}',
  'serve: {policies: {orders: {}}}',
  'serve: {policies: {orders: }}',
  'serve: {policies: {orders: {scope: }}}',
  'serve: {policies: {orders: {scope: []}}}',
  'serve: {policies: {orders: {maxAge: ""}}}',
  `serve: {clients: [{id: a, secretSha256: "${'0'.repeat(64)}", may: }]}`,
  `serve: {clients: [{id: a, secretSha256: "${'0'.repeat(64)}", may: []}]}`,
  `serve: {clients: [{id: a, secretSha256: "${'0'.repeat(64)}", may: [issue], audiences: }]}`,
  `serve: {clients: [{id: a, secretSha256: "${'0'.repeat(64)}", may: [issue], audiences: []}]}`,
])('an empty restriction is refused: %s', async (yaml) => {
  const space = new Workspace();
  space.write(space.userFile, yaml);
  expect((await space.refusal()).code).toBe('ERR_CONFIG_VALUE_INVALID');
});
