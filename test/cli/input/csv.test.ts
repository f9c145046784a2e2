import { describe, expect, test } from 'vitest';
import { readCsv } from '../../../src/cli/input/csv.js';
import { MAX_LINE_BYTES } from '../../../src/cli/input/lines.js';

const COLUMNS = { required: ['sub'], optional: ['name'] } as const;

async function* inPieces(bytes: Buffer, size: number) {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

/** Returns each row's number with its fields or error message, and checks that the chunk size does not matter. */
async function rowsOf(input: string | Buffer): Promise<Array<[number, unknown]>> {
  const bytes = Buffer.from(input as string);
  const whole = await readIn(bytes, bytes.length + 1);
  if (bytes.length < 5_000) for (const size of [1, 3, 8]) expect(await readIn(bytes, size)).toEqual(whole);
  return whole;
}

async function readIn(bytes: Buffer, size: number): Promise<Array<[number, unknown]>> {
  const rows: Array<[number, unknown]> = [];
  for await (const some of readCsv(inPieces(bytes, size), COLUMNS)) {
    for (const row of some) rows.push([row.number, 'value' in row ? row.value : row.error.message]);
  }
  return rows;
}

const ALICE_AND_BOB = [
  [2, { sub: 'alice', name: 'Alice' }],
  [3, { sub: 'bob' }],
];

describe('rows', () => {
  test.each([
    { name: 'with newlines', input: 'sub,name\nalice,Alice\nbob,\n' },
    { name: 'with CRLF, and without a last one', input: 'sub,name\r\nalice,Alice\r\nbob,' },
    { name: 'with both', input: 'sub,name\r\nalice,Alice\nbob,\r\n' },
    { name: 'after a byte order mark', input: '\uFEFFsub,name\nalice,Alice\nbob,\n' },
    { name: 'in quotes', input: '"sub","name"\n"alice","Alice"\n"bob",""\n' },
  ])('$name are read', async ({ input }) => {
    expect(await rowsOf(input)).toEqual(ALICE_AND_BOB);
  });

  test('follow the order of the header, which may lack optional columns', async () => {
    expect(await rowsOf('name,sub\nAlice,alice')).toEqual([[2, { sub: 'alice', name: 'Alice' }]]);
    expect(await rowsOf('sub\nalice\n')).toEqual([[2, { sub: 'alice' }]]);
    expect(await rowsOf('sub,name\n')).toEqual([]);
  });

  test('may contain quoted commas, quotes, and line breaks, and have the number of their first line', async () => {
    expect(await rowsOf('sub,name\n"a,""b""","x\ny"\n\nbob, B \n')).toEqual([
      [2, { sub: 'a,"b"', name: 'x\ny' }],
      [5, { sub: 'bob', name: ' B ' }],
    ]);
  });

  test('with more or fewer fields than the header are errors, and later rows are read', async () => {
    expect(await rowsOf('sub,name\nalice\nbob,B,x\ncarol,C\n')).toEqual([
      [2, 'Expected 2 fields, as in the header, but found 1.'],
      [3, 'Expected 2 fields, as in the header, but found 3.'],
      [4, { sub: 'carol', name: 'C' }],
    ]);
  });

  test('that are not UTF-8 are errors, and later rows are read', async () => {
    const bytes = Buffer.concat([Buffer.from('sub,name\na,'), Buffer.from([0xe9]), Buffer.from('\nb,é\n')]);
    expect(await rowsOf(bytes)).toEqual([
      [2, 'The row is not well-formed UTF-8. Save the file as CSV UTF-8.'],
      [3, { sub: 'b', name: 'é' }],
    ]);
  });

  test.each([
    { name: 'a quote in a field', row: 'bob,7" screen', why: 'has a quote in the wrong place' },
    { name: 'text after a quote', row: 'bob,"B"x', why: 'has a quote in the wrong place' },
    { name: 'text after a quote, lines later', row: 'bob,"B\n\n"x', why: 'has a quote in the wrong place' },
    { name: 'a quote that is never closed', row: 'bob,"B', why: 'has a quote that is not closed' },
    {
      name: 'a quoted field over many lines',
      row: `bob,"B${'\nx,y'.repeat(MAX_LINE_BYTES / 4)}`,
      why: 'is longer than 65536 bytes: a quote may not be closed',
    },
    {
      name: 'a quoted field and a very long one',
      row: `"bo\nb",${'x'.repeat(MAX_LINE_BYTES + 1)}`,
      why: 'is longer than 65536 bytes: a quote may not be closed',
    },
    {
      name: 'a field without an end',
      row: `bob,${'x'.repeat(MAX_LINE_BYTES + 1)}`,
      why: 'is longer than 65536 bytes',
    },
  ])(
    'after $name are not read, and that row is an error with the number of its first line',
    async (broken) => {
      expect(await rowsOf(`sub,name\nalice,"A\n"\n\n\n${broken.row}\ncarol,C\n`)).toEqual([
        [2, { sub: 'alice', name: 'A\n' }],
        [6, `The row that begins at line 6 ${broken.why}. The rest of the CSV was not read.`],
      ]);
    },
  );
});

describe('a header', () => {
  test.each([
    ['x'.repeat(2 * MAX_LINE_BYTES), 'is longer than 65536 bytes'],
    ['"sub', 'has a quote that is not closed'],
    ['s"ub"', 'has a quote in the wrong place'],
  ])('that cannot be read is an error of its row', async (header, why) => {
    const message = `The row that begins at line 1 ${why}. The rest of the CSV was not read.`;
    await expect(rowsOf(`${header}\nalice\n`)).rejects.toMatchObject({ code: 'ERR_ROW_INVALID', message });
  });

  test.each([
    ['sub,email', "The header is 'sub,email'; expected sub and optionally name."],
    ['name', "The header is 'name'; expected sub and optionally name."],
    ['Subject,name', "The header is 'Subject,name'; expected sub and optionally name."],
    ['sub,sub', "The header is 'sub,sub'; expected sub and optionally name."],
    ['sub;name', "The header is 'sub;name'; expected sub and optionally name."],
    ['', "The header is ''; expected sub and optionally name."],
    ['\u001b[2J', "The header is '\\u001b[2J'; expected sub and optionally name."],
  ])('%j is refused', async (header, message) => {
    await expect(rowsOf(header === '' ? '' : `${header}\nalice,Alice\n`)).rejects.toMatchObject({
      ...{ kind: 'usage', code: 'ERR_CSV_HEADER_INVALID', message },
    });
  });
});
