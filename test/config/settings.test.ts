import { tmpdir } from 'node:os';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { readValue } from '../../src/config/setting-values.js';
import { SETTINGS, type Settings, type SettingsInput, settingOf } from '../../src/config/settings.js';
import { placesOf } from '../../src/config/standard-paths.js';
import { nearest } from '../../src/domain/shared/nearest.js';

describe('the settings', () => {
  it('each have a doc line, a unique variable, and at most one unique flag', () => {
    expect(SETTINGS.every(({ doc }) => doc.length > 20 && doc.endsWith('.'))).toBe(true);
    const variables = SETTINGS.map(({ variable }) => variable);
    expect(new Set(variables).size).toBe(SETTINGS.length);
    expect(variables.every((variable) => /^JWTCTL_[A-Z_]+$/.test(variable))).toBe(true);
    const flags = SETTINGS.flatMap(({ flag }) => flag ?? []);
    expect(new Set(flags).size).toBe(flags.length);
    expect(flags.every((flag) => /^--[a-z-]+$/.test(flag))).toBe(true);
  });

  it('derive the variable and the flag from the path', () => {
    expect(settingOf('token.maxTtl')).toMatchObject({
      variable: 'JWTCTL_TOKEN_MAX_TTL',
      flag: '--token-max-ttl',
    });
    expect(settingOf('mysql.tls.ca')).toMatchObject({
      variable: 'JWTCTL_MYSQL_TLS_CA',
      flag: '--mysql-tls-ca',
    });
    expect(settingOf('timeout')).toMatchObject({ variable: 'JWTCTL_TIMEOUT', flag: '--timeout' });
    expect(settingOf('masterKey.file')).toMatchObject({ variable: 'JWTCTL_MASTER_KEY_FILE' });
    expect(settingOf('masterKey.value')).toMatchObject({ variable: 'JWTCTL_MASTER_KEY' });
  });

  it('give no flag to secrets, commands, and structures', () => {
    const guarded = SETTINGS.filter((setting) => setting.class !== 'plain');
    expect(guarded.map(({ path }) => path)).toEqual([
      'mysql.password',
      'mysql.passwordCommand',
      'redis.password',
      'redis.passwordCommand',
      'masterKey.command',
      'masterKey.value',
      'users.enabledWhere',
      'serve.clients',
      'serve.headers',
      'serve.policies',
      'hooks.command',
    ]);
    expect(guarded.every(({ flag }) => flag === null)).toBe(true);
  });

  it('have defaults that are values of their kind', () => {
    const places = placesOf({}, { homeDir: tmpdir() });
    for (const { path, kind, fallback } of SETTINGS) {
      if (fallback !== null) expect(readValue(kind, fallback, '/', places), path).not.toBeNull();
    }
  });

  it('are typed by their declarations', () => {
    expectTypeOf<Settings['token']['maxTtl']>().toEqualTypeOf<number>();
    expectTypeOf<Settings['mysql']['url']>().toEqualTypeOf<string | null>();
    expectTypeOf<Settings['mysql']['tls']['enabled']>().toEqualTypeOf<boolean>();
    expectTypeOf<Settings['redis']['mode']>().toEqualTypeOf<'cluster' | 'standalone' | 'sentinel'>();
    expectTypeOf<Settings['data']>().toEqualTypeOf<string>();
    expectTypeOf<{ token: { ttl: string }; redis: { nodes: string[] } }>().toExtend<SettingsInput>();
    expectTypeOf<{ token: { ttl: boolean } }>().not.toExtend<SettingsInput>();
  });
});

describe('nearest', () => {
  it('finds the candidate within two edits, ignoring case', () => {
    expect(nearest('token.maxtl', ['token.ttl', 'token.maxTtl'])).toBe('token.maxTtl');
    expect(nearest('REDIS.NODE', ['redis.nodes', 'redis.mode'])).toBe('redis.nodes');
  });

  it('finds nothing for a distant or very short name', () => {
    expect(nearest('database', ['data', 'timeout'])).toBeNull();
    expect(nearest('to', ['data'])).toBeNull();
    expect(nearest('dxya', ['data'])).toBeNull();
  });
});
