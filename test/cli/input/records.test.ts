import { describe, expect, test } from 'vitest';
import { type RecordFormat, type RecordKind, readRecords } from '../../../src/cli/input/records.js';
import type { JwtctlError } from '../../../src/index.js';

const SUBJECTS = { plural: 'subjects', required: ['sub'], optional: ['name'] } as const;
const TOKENS: RecordKind = {
  ...{ plural: 'tokens', required: ['token', 'access_token'], optional: [], hasOthers: true, isMixed: true },
  form: /eyJ[\w-]/,
};

/** Returns the values or error codes of all lines, and checks that the size of the chunks does not matter. */
async function recordsOf(
  input: string | Buffer,
  kind: RecordKind,
  name = 'list',
  format?: RecordFormat,
): Promise<unknown[]> {
  const bytes = Buffer.from(input as string);
  const whole = await readIn(bytes, bytes.length + 1, kind, name, format);
  for (const size of [1, 5]) expect(await readIn(bytes, size, kind, name, format)).toEqual(whole);
  return whole;
}

async function readIn(
  bytes: Buffer,
  size: number,
  kind: RecordKind,
  name: string,
  format?: RecordFormat,
): Promise<unknown[]> {
  async function* chunks() {
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  }
  const source = { name, chunks, fractionRead: () => null, close: () => {} };
  const found: unknown[] = [];
  for await (const some of await readRecords(source, kind, format)) {
    for (const line of some) found.push('value' in line ? line.value : line.error.code);
  }
  return found;
}

const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const ALICE = { sub: 'alice', name: 'Alice' };

describe('subjects', () => {
  test.each([
    ['a header', 'sub,name\nalice,Alice\n'],
    ['another order', 'name,sub\nAlice,alice\n'],
    ['another case', 'Sub,NAME\nalice,Alice\n'],
    ['semicolons', 'sub;name\nalice;Alice\n'],
    ['tabs', 'sub\tname\nalice\tAlice\n'],
    ['semicolons, case, and spaces', ' SUB ; Name\nalice ; Alice\n'],
    ['a space after the comma', 'sub, name\nalice, Alice\n'],
    ['quotes', '"sub","name"\n"alice","Alice"\n'],
    ['quotes and semicolons', '"Sub";"Name"\r\n"alice";"Alice"\r\n'],
    ['a byte order mark and CRLF', '\uFEFFSub;Name\r\nalice;Alice\r\n'],
    ['a byte order mark and quotes', '\uFEFF"Sub";"Name"\nalice;Alice\n'],
    ['blank lines before it', '\n\r\nsub,name\nalice,Alice\n'],
    ['NDJSON', '{"sub":"alice","name":"Alice"}\n'],
    ['UTF-16 of Excel', utf16('\uFEFFSub\tName\r\nalice\tAlice\r\n')],
    ['UTF-16 of the other order', utf16('\uFEFFsub,name\nalice,Alice\n').swap16()],
    ['UTF-16 without a byte order mark', utf16('sub,name\nalice,Alice\n')],
    ['NDJSON after a byte order mark', '\uFEFF\n {"sub":"alice","name":"Alice"}\n'],
  ])('are read with %s', async (_name, input) => {
    expect(await recordsOf(input, SUBJECTS)).toEqual([ALICE]);
  });

  test.each([
    ['plain lines', 'alice\nbob\n', ['alice', 'bob']],
    ['CRLF and no last one', 'alice\r\nbob', ['alice', 'bob']],
    ['a header without other columns', 'SUB\nalice\nbob\n', ['alice', 'bob']],
    ['addresses', 'alice@example.com\nbob@example.com\n', ['alice@example.com', 'bob@example.com']],
    ['names of a directory', 'cn=alice,ou=people\n', ['cn=alice,ou=people']],
    ['text in brackets', '[a-z]\n{}\n', ['[a-z]', '{}']],
    ['UTF-16 of PowerShell', utf16('\uFEFFzoë\r\n𝒵\r\n'), ['zoë', '𝒵']],
    ['UUIDs', '3f2504e0-4f89-11d3-9a0c-0305e82c3301\n', ['3f2504e0-4f89-11d3-9a0c-0305e82c3301']],
  ])('are read from %s', async (_name, input, subs) => {
    expect(await recordsOf(input, SUBJECTS)).toEqual(subs.map((sub) => ({ sub })));
  });

  test.each([
    ...['login,name\na,b\n', 'username;email\na;b\n', 'user_id\tname\n7\tx\n', 'email\na@b.example\n'],
    ...[
      'Username\nalice\n',
      '"id","name"\n1,a\n',
      'User Name\nalice\n',
      'sub,sub\na,b\n',
      'sub,status\na,b\n',
    ],
    ...['ID\n1\n', 'subject\nalice\n', 'alice@example.com,Alice\n', 'Doe, Alice\n'],
  ])('are not read under the header of %j', async (input) => {
    await expect(recordsOf(input, SUBJECTS)).rejects.toMatchObject({ code: 'ERR_CSV_HEADER_INVALID' });
  });
});

const JWS = 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA';

describe('lines of other programs', () => {
  test.each([
    ['mysql -t', '+-------+\n| sub   |\n+-------+\n| alice |\n', 'a table with borders'],
    ['a table of Markdown', '| alice | Alice |\n', 'a table with borders'],
    ['psql', ' login | name  \n-------+-------\n alice | Alice\n(1 row)\n', 'a table with borders'],
    ['mysqldump', '-- MySQL dump 10.13\n--\n', 'SQL'],
    ['mariadb-dump', '/*M!999999\\- enable the sandbox mode */ \n', 'SQL'],
    ['an INSERT', "INSERT INTO `users` VALUES (1,'alice');\n", 'SQL'],
    ['rows of an INSERT', "('alice', 1),\n", 'SQL'],
    ['pg_dump', '--\n-- PostgreSQL database dump\n', 'SQL'],
    ['LDIF', 'dn: uid=alice,ou=people,dc=example\nuid: alice\n', 'LDIF'],
    ['ldapsearch', '# extended LDIF\n', 'LDIF'],
    ['/etc/passwd', 'root:x:0:0:root:/root:/bin/bash\n', 'an account with fields'],
    ['/etc/shadow', 'alice:!:19000:0:99999:7:::\n', 'an account with fields'],
    ['/etc/group', 'adm:x:4:syslog,alice\n', 'an account with fields'],
    ['htpasswd', 'alice:$apr1$abc$def\n', 'an account with fields'],
    ['a comment', '# our users\nalice\n', 'a comment'],
    ['YAML', '- alice\n- bob\n', 'YAML'],
    ['a member of YAML', 'user: alice\n', 'YAML'],
    ['quotes', '"alice"\n"bob"\n', 'a value in quotes'],
    ['single quotes and commas', "'alice',\n'bob'\n", 'a value in quotes'],
    ['commas', 'alice,\nbob,\n', 'a value with a separator at its end'],
    ['numbers of a spreadsheet', '1.14795E+18\n', 'a number that a spreadsheet'],
    ['the apostrophe of a spreadsheet', "'21811093452789012\n", 'a number that a spreadsheet'],
    ['the formula of a spreadsheet', '="21811093452789012"\n', 'a number that a spreadsheet'],
    ['the example of a learning platform', 'jdoe;\njmontoya;\n', 'a value with a separator at its end'],
    ['numbers of a data frame', '4711.0\n', 'a number that a spreadsheet'],
    ['mysql -N', 'NULL\nalice\n', 'the NULL of a database'],
  ])('are named if a list begins with them: %s', async (_name, input, what) => {
    const refused = await recordsOf(input, SUBJECTS).catch((error: JwtctlError) => error);
    expect(refused).toMatchObject({ code: 'ERR_FILE_KIND_UNKNOWN' });
    expect((refused as JwtctlError).message).toContain(`it begins with ${what}`);
    expect((refused as JwtctlError).hint).toContain('--format text');
    expect(await recordsOf(`zoe\n${input.split('\n')[0]}\n`, SUBJECTS)).toEqual([
      { sub: 'zoe' },
      'ERR_ROW_INVALID',
    ]);
  });

  test.each([
    ['a JSON array in one line', '["alice","bob"]\n', 'is a JSON array'],
    ['a list of Python', "['alice', 'bob']\n", 'is a JSON array'],
    ['a JSON document', '[\n"alice"\n]\n', 'is one JSON document over several lines'],
  ])('are named if they are %s', async (_name, input, what) => {
    await expect(recordsOf(input, SUBJECTS)).rejects.toThrow(what);
  });

  test('are taken as they are with the format text', async () => {
    expect(await recordsOf('# a\n"b"\n4711.0\n', SUBJECTS, 'list', 'text')).toEqual(
      ['# a', '"b"', '4711.0'].map((sub) => ({ sub })),
    );
  });

  test('are taken as they are in a CSV with the format csv', async () => {
    expect(await recordsOf('sub\n1.0\nNULL\n----\n', SUBJECTS, 'list', 'csv')).toEqual(
      ['1.0', 'NULL', '----'].map((sub) => ({ sub })),
    );
  });

  test('are refused with the flag that takes them', async () => {
    for (const [input, flag] of [
      ['sub\n1.0\n', '--format csv'],
      ['zoe\nfe80::1:2\n', '--format text'],
    ] as const) {
      const chunks = async function* () {
        yield Buffer.from(input);
      };
      const source = { name: 'list', chunks, fractionRead: () => null, close: () => {} };
      const lines = [];
      for await (const some of await readRecords(source, SUBJECTS, undefined)) lines.push(...some);
      expect(lines.at(-1)).toMatchObject({ error: { hint: expect.stringContaining(flag) } });
    }
  });

  test('are refused in the rows of a CSV', async () => {
    const psql = ' sub \n-------\n alice\n(1 row)\n';
    expect(await recordsOf(psql, SUBJECTS)).toEqual(['ERR_ROW_INVALID', { sub: 'alice' }, 'ERR_ROW_INVALID']);
    const sheet = 'sub\n1.14795E+18\n"1,14795E+18"\n4711.0\n4711\n';
    expect(await recordsOf(sheet, SUBJECTS)).toEqual([
      ...['ERR_ROW_INVALID', 'ERR_ROW_INVALID', 'ERR_ROW_INVALID'],
      { sub: '4711' },
    ]);
  });

  test.each([
    ...['auth0|5f7c8ec7c33c6c004bbafe82', 'arn:aws:iam::123456789012:user/alice', 'urn:uuid:3f2504e0'],
    ...['system:serviceaccount:default:app', 'did:web:a#k1', 'google-oauth2|1147', 'DOMAIN\\alice'],
    ...[
      'uid=alice,ou=people,dc=example',
      'CN=Doe\\, Alice,OU=x',
      "O'Neil",
      'alice-',
      '1147953659032899584',
      '1e5',
    ],
  ])('are not confused with the subject %s', async (sub) => {
    expect(await recordsOf(`${sub}\n`, SUBJECTS)).toEqual([{ sub }]);
  });
});

describe('tokens', () => {
  test.each([
    ['plain lines', `${JWS}\n`],
    ['a CSV', `token\n${JWS}\n`],
    ['the columns of a database', `id;Access_Token;created_at\n1;${JWS};2026-01-01\n`],
    ['tabs', `ID\tTOKEN\n1\t${JWS}\n`],
  ])('are read from %s', async (_name, input) => {
    const [record] = (await recordsOf(input, TOKENS)) as Array<Record<string, unknown>>;
    expect(record?.token ?? record?.access_token).toBe(JWS);
  });
});

const README = '# jwtctl\n\nOperate JWT authentication: {keys}, users, and tokens.\n';
const BROKEN_UTF16 = Buffer.concat([Buffer.from('\uFEFFsub\nalice\n', 'utf16le'), Buffer.from([0, 0xd8])]);

test.each<[string, string | Buffer, RecordKind]>([
  ['README.md', README, TOKENS],
  ['a list of users', 'alice\nbob\n', TOKENS],
  ['a spreadsheet', 'PK\x03\x04\x14\x00', SUBJECTS],
  ['a PDF', '%PDF-1.7\n', SUBJECTS],
  ['a compressed list', Buffer.from([0x1f, 0x8b, 8, 0, 0]), SUBJECTS],
  ['broken UTF-16', BROKEN_UTF16, SUBJECTS],
  ['a database', 'SQLite format 3\0\x10\0', SUBJECTS],
  ['a private key', '-----BEGIN PRIVATE KEY-----\nMIIE\n', SUBJECTS],
  ['a web page', '<!DOCTYPE html>\n<html>\n', SUBJECTS],
  ['XML', '<?xml version="1.0"?>\n<users/>\n', SUBJECTS],
  ['a JSON array', '[\n  {"sub":"alice"}\n]\n', SUBJECTS],
  ['a JSON array in one line', '[{"sub":"alice"},{"sub":"bob"}]\n', SUBJECTS],
  ['a JSON array of strings', '["alice","bob"]', SUBJECTS],
  ['a formatted JSON object', '{\n  "sub": "alice"\n}\n', SUBJECTS],
])('%s is refused at once, as a file of another kind', async (_name, input, kind) => {
  const refused = await recordsOf(input, kind).catch((error: JwtctlError) => error);
  expect(refused).toMatchObject({ code: 'ERR_FILE_KIND_UNKNOWN' });
  expect((refused as JwtctlError).message).toMatch(/^list is not a list of (subjects|tokens): it [a-z ]+/);
});

test('a header with semicolons that is not known is shown, whatever the name of the file', async () => {
  const refused = recordsOf('"id";"name"\n1;a\n', SUBJECTS, 'users.csv');
  await expect(refused).rejects.toMatchObject({ code: 'ERR_CSV_HEADER_INVALID' });
  await expect(refused).rejects.toThrow("The header is 'id,name'");
});
