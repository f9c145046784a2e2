import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { logLines } from '../../../src/cli/output/log-line.js';

const TIME = '2026-11-30T02:49:17.340Z';
const REFUSED = {
  ...{ level: 'info', time: TIME, pid: 8664, requestId: 'e6KfVr56-2', client: undefined },
  ...{ method: 'GET', route: '/verify', status: 401, code: 'ERR_TOKEN_REVOKED', durationMs: 0.743 },
  msg: 'The token has been revoked.',
};

function plain(record: object, hasPid = false): string {
  return logLines({ color: false, hasPid })(JSON.stringify(record));
}

test('a request is one line', () => {
  expect(plain(REFUSED)).toBe(
    '02:49:17.340Z info  GET /verify 401 0.7 ms ERR_TOKEN_REVOKED The token has been revoked.\n',
  );
});

test('several processes are told apart', () => {
  expect(plain(REFUSED, true)).toContain(' info  [8664] GET /verify 401 ');
});

test('a client and a field are named', () => {
  const { msg: _, ...record } = { ...REFUSED, route: '/v1/tokens', status: 422, client: 'app', field: 'ttl' };
  expect(plain(record)).toMatch(/ GET \/v1\/tokens 422 0\.7 ms ERR_TOKEN_REVOKED client=app field=ttl\n$/);
});

test('a request without a route, and one that is not HTTP', () => {
  const base = { level: 'info', time: TIME, pid: 1 };
  expect(plain({ ...base, method: 'GET', route: null, status: 404, code: 'ERR_NO_ROUTE' })).toBe(
    '02:49:17.340Z info  GET (no route) 404 ERR_NO_ROUTE\n',
  );
  expect(plain({ ...base, status: 400, code: 'ERR_HTTP_UNREADABLE', parser: 'HPE_X', msg: 'No HTTP.' })).toBe(
    '02:49:17.340Z info  400 ERR_HTTP_UNREADABLE No HTTP. parser=HPE_X\n',
  );
});

test('a change of state shows its fields', () => {
  const change = { store: 'database', state: 'down', since: 1_796_006_950, code: 'ERR_MYSQL_UNREACHABLE' };
  expect(plain({ level: 'error', time: TIME, pid: 1, ...change, msg: 'It is away.' })).toBe(
    '02:49:17.340Z error It is away. store=database state=down code=ERR_MYSQL_UNREACHABLE\n',
  );
});

test('the stack of a defect follows its line', () => {
  const defect = { ...REFUSED, status: 500, code: 'ERR_BUG', msg: undefined };
  const lines = plain({ ...defect, level: 'error', error: 'TypeError', at: ['at a (b:1:2)', 'at c'] });
  expect(lines.split('\n').slice(0, 3)).toEqual([
    '02:49:17.340Z error GET /verify 500 0.7 ms ERR_BUG error=TypeError',
    '    at a (b:1:2)',
    '    at c',
  ]);
});

test('characters that control a terminal are escaped, in values and in names', () => {
  const hostile = 'a\x1b[2J\r\n\u202eb\x9bc';
  const fields = { client: hostile, method: hostile, route: hostile, code: hostile, [hostile]: [hostile] };
  const text = plain({ ...REFUSED, ...fields, at: [hostile], msg: hostile });
  expect(text).toMatch(/^[ -~\n]*$/);
  expect(text.split('\n')).toHaveLength(3);
  expect(text).toContain('client=a\\u001b[2J\\u000d\\u000a\\u202eb\\u009bc');
});

test('color only adds to the words', () => {
  const colored = logLines({ color: true, hasPid: true });
  for (const [level, status, code] of [
    ['debug', 200, 32],
    ['info', 401, 33],
    ['warn', 404, 33],
    ['error', 503, 31],
  ] as const) {
    const record = { ...REFUSED, level, status };
    const line = colored(JSON.stringify(record));
    expect(line).toContain(`\x1b[${code}m${status}\x1b[39m`);
    expect(stripVTControlCharacters(line)).toBe(plain(record, true));
  }
});
