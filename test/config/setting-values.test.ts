import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boolean,
  date,
  duration,
  integer,
  type Kind,
  mysqlUrl,
  natMap,
  nodes,
  path,
  text,
} from '../../src/config/setting-kinds.js';
import { formatValue, readValue } from '../../src/config/setting-values.js';
import { type SettingPath, settingOf } from '../../src/config/settings.js';
import { placesOf } from '../../src/config/standard-paths.js';

const places = placesOf({}, { homeDir: '/home/ann' });

function read(kind: Kind, raw: unknown): unknown {
  return readValue(kind, raw, '/srv/app', places)?.value;
}

function readSetting(name: SettingPath, raw: unknown): unknown {
  return read(settingOf(name).kind, raw);
}

const port = fc.integer({ min: 1, max: 65_535 });
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
const hostPort = fc.record({ host, port });

describe('a duration', () => {
  it('is read as seconds from text and from a number', () => {
    expect(read(duration(), '1h30m')).toBe(5400);
    expect(read(duration(), 90)).toBe(90);
  });

  it.each([
    '',
    '0',
    '-5s',
    '1.5h',
    'soon',
    0,
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e21,
    true,
    null,
  ])('is not %j', (raw) => {
    expect(read(duration(), raw)).toBeUndefined();
  });

  it('has a maximum, because Node fires longer timers at once', () => {
    expect(readSetting('timeout', '1d')).toBe(86_400);
    expect(readSetting('timeout', '25d')).toBeUndefined();
    expect(readSetting('token.maxTtl', '36500d')).toBe(3_153_600_000);
    expect(readSetting('token.maxTtl', '36501d')).toBeUndefined();
  });
});

describe('a date', () => {
  it('is read as the end of that day in UTC', () => {
    expect(read(date, '2027-03-31')).toBe(Date.UTC(2027, 3, 1) / 1000);
    expect(formatValue(date, Date.UTC(2027, 3, 1) / 1000)).toBe('2027-03-31');
  });

  it('may be a NumericDate', () => {
    for (const raw of ['1806451201', 1_806_451_201]) expect(read(date, raw)).toBe(1_806_451_201);
    expect(formatValue(date, 1_806_451_201)).toBe('1806451201');
  });

  it.each([
    '',
    '2027-02-30',
    '2027-13-01',
    '31.03.2027',
    '2027-03-31T00:00Z',
    0,
    1_806_451_201_000,
    '1',
    null,
  ])('is not %j', (raw) => {
    expect(read(date, raw)).toBeUndefined();
  });
});

describe('whole numbers, booleans and text', () => {
  it('are read from a file and from a variable', () => {
    expect(read(integer(1, 9), 5)).toBe(5);
    expect(read(integer(1, 9), '5')).toBe(5);
    expect(read(boolean, true)).toBe(true);
    expect(read(boolean, 'false')).toBe(false);
    expect(read(text, 'two\nlines')).toBe('two\nlines');
  });

  it('are refused outside of their range or form', () => {
    for (const raw of [0, 10, 5.5, '5.0', '', ' 5', '0x5', null])
      expect(read(integer(1, 9), raw)).toBeUndefined();
    for (const raw of ['yes', '', 1, 'TRUE']) expect(read(boolean, raw)).toBeUndefined();
    for (const raw of ['', 'a\0b', 5]) expect(read(text, raw)).toBeUndefined();
  });
});

describe('names', () => {
  it('of the prefix are 1 to 64 safe characters without a colon at the end', () => {
    for (const raw of ['jwt', 'a:b', 'A-z_0.9', 'x'.repeat(64)])
      expect(readSetting('redis.prefix', raw)).toBe(raw);
    for (const raw of ['', 'jwt:', ':', 'a b', 'a{b}', 'a*', 'é', 'jwt\n', 'x'.repeat(65)]) {
      expect(readSetting('redis.prefix', raw), raw).toBeUndefined();
    }
  });

  it('of tables and columns need no quoting', () => {
    for (const raw of ['users', 'app.users', 'u$_1']) expect(readSetting('users.table', raw)).toBe(raw);
    for (const raw of ['', 'a.b.c', 'users; drop', 'us`ers', '.users', 'users.', 'users\n']) {
      expect(readSetting('users.table', raw), raw).toBeUndefined();
    }
    expect(readSetting('users.column', 'email')).toBe('email');
    expect(readSetting('users.column', 'users.email')).toBeUndefined();
  });

  it('of the issuer are one line', () => {
    expect(readSetting('token.issuer', 'https://id.example/é')).toBe('https://id.example/é');
    expect(readSetting('token.issuer', 'a\nb')).toBeUndefined();
    expect(readSetting('token.issuer', 'a\u001b[2Jb')).toBeUndefined();
  });
});

describe('a path', () => {
  it('is relative to its source, or starts with ~ or $XDG_DATA_HOME', () => {
    expect(read(path, 'tls/ca.pem')).toBe('/srv/app/tls/ca.pem');
    expect(read(path, '../ca.pem')).toBe('/srv/ca.pem');
    expect(read(path, '/etc/ca.pem')).toBe('/etc/ca.pem');
    expect(read(path, '~/ca.pem')).toBe('/home/ann/ca.pem');
    expect(read(path, '$XDG_DATA_HOME/x.db')).toBe('/home/ann/.local/share/x.db');
  });

  it("cannot be in another user's home, be empty, or contain NUL", () => {
    for (const raw of ['~bob/ca.pem', '', '/etc/\0']) expect(read(path, raw)).toBeUndefined();
  });
});

describe('a list of nodes', () => {
  it('is comma-separated text or a list, with the default port 6379', () => {
    const expected = [
      { host: '10.0.0.1', port: 7000 },
      { host: 'redis_2', port: 6379 },
      { host: '::1', port: 7001 },
    ];
    expect(read(nodes, '10.0.0.1:7000, redis_2,[::1]:7001')).toEqual(expected);
    expect(read(nodes, ['10.0.0.1:7000', 'redis_2', '[::1]:7001'])).toEqual(expected);
  });

  it.each(['', ',', 'a:0', 'a:65536', 'a:', ':6379', 'a:x', '::1', '[::1', '[a]:1', [], [6379], 'u@a:1'])(
    'is not %j',
    (raw) => {
      expect(read(nodes, raw)).toBeUndefined();
    },
  );

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.array(hostPort, { minLength: 1 }), (list) => {
        expect(read(nodes, formatValue(nodes, list))).toEqual(list);
      }),
    );
  });
});

describe('a NAT map', () => {
  it("is a map or text, with the driver's keys", () => {
    const expected = {
      '10.0.0.1:6379': { host: 'gw.example', port: 7000 },
      '::1:6379': { host: '::2', port: 7001 },
    };
    expect(read(natMap, '10.0.0.1:6379=gw.example:7000,[::1]:6379=[::2]:7001')).toEqual(expected);
    expect(read(natMap, { '10.0.0.1:6379': 'gw.example:7000', '[::1]:6379': '[::2]:7001' })).toEqual(
      expected,
    );
  });

  it.each(['', 'a:1', 'a:1=', 'a:1=b:2=c:3', 'a:1=b:0', { 'a:1': 5 }, [['a:1', 'b:2']]])(
    'is not %j',
    (raw) => {
      expect(read(natMap, raw)).toBeUndefined();
    },
  );

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(hostPort, hostPort), { minLength: 1 }), (pairs) => {
        const map = Object.fromEntries(pairs.map(([from, to]) => [`${from.host}:${from.port}`, to]));
        expect(read(natMap, formatValue(natMap, map))).toEqual(map);
      }),
    );
  });
});

describe('a MySQL URL', () => {
  it.each([
    'mysql://app@db.example/jwt',
    'mysql://app@10.0.0.1:3307/jwt',
    'mariadb://app@[::1]:3306/jwt',
    'mysql://a%2Fb@db/my%20db',
  ])('may be %s', (raw) => {
    expect(read(mysqlUrl, raw)).toBe(raw);
  });

  it.each([
    'app@db/jwt',
    'postgres://app@db/jwt',
    'mysql://db/jwt',
    'mysql://:x@db/jwt',
    'mysql://app@/jwt',
    'mysql://app@d%20b/jwt',
    'mysql://app@db',
    'mysql://app@db/',
    'mysql://app@db/a/b',
    'mysql://app@db/a%2Fb',
    'mysql://app@db:0/jwt',
    'mysql://app@db/jwt#x',
    'mysql://app@db/jwt\n',
    5,
  ])('is not %j', (raw) => {
    expect(read(mysqlUrl, raw)).toBeUndefined();
  });
});
