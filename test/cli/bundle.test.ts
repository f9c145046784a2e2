import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { spawnProgram } from '../support/spawned.js';

const BUNDLE = fileURLToPath(new URL('../../bin/bundle.js', import.meta.url));
const RUN = `
const { load, save } = require(${JSON.stringify(BUNDLE)}).openBundle(__dirname);
console.log(load('./main.js').greet());
save();
`;

let folder: string;

beforeEach(() => {
  folder = temporaryFolder();
  writeFileSync(join(folder, 'run.cjs'), RUN);
});

/** Writes a bundle of two scripts, as the build does. */
function writeBundle(greeting: string) {
  const texts = [
    `({\n"./main.js"(exports, require) {\n  exports.greet = () => require("./words.js").word();\n},\n})\n`,
    `({\n"./words.js"(exports) {\n  exports.word = () => ${greeting};\n},\n})\n`,
  ] as const;
  const scripts = [
    { modules: ['./main.js'], start: 0, length: texts[0].length, line: 2 },
    { modules: ['./words.js'], start: texts[0].length, length: texts[1].length, line: 7 },
  ];
  const index = `// ${JSON.stringify({ hash: greeting, scripts })}\n`;
  const firstLine = `// ${String(index.length).padStart(8, '0')}\n`;
  writeFileSync(join(folder, 'main.js'), `${firstLine}${index}${texts.join('')}`);
}

function run(env: Record<string, string> = {}) {
  return spawnProgram(process.execPath, [join(folder, 'run.cjs')], { env });
}

function caches() {
  return readdirSync(folder).filter((name) => name.includes('.cache'));
}

test('loads modules, and keeps their compiled code for the next run', async () => {
  writeBundle('"hello"');

  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\n', stderr: '' });
  expect(caches()).toEqual([`main.${process.version}-${process.arch}.cache`]);

  // A run that had to compile would write a new file.
  const before = statSync(join(folder, String(caches()[0])));
  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\n' });
  expect(statSync(join(folder, String(caches()[0]))).ino).toBe(before.ino);
});

test('ignores and replaces the cache of another build', async () => {
  writeBundle('"hello"');
  await run();
  writeBundle('"other"');

  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'other\n' });
  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'other\n' });
});

/** Changes one bit at a place from 0 (the beginning) to 1 (the end). */
function withChangedBit(bytes: Buffer, place: number) {
  const changed = Buffer.from(bytes);
  const at = Math.floor((bytes.length - 1) * place);
  changed.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return changed;
}

/** Makes the cache as another V8 would: its version follows a magic number. */
function withOtherVersion(bytes: Buffer) {
  const changed = Buffer.from(bytes);
  const begin = 8 + bytes.readUInt32LE();
  const index = JSON.parse(bytes.toString('latin1', 8, begin));
  for (const slice of Object.values<{ start: number; length: number; checksum: number }>(index.slices)) {
    const data = changed.subarray(begin + slice.start, begin + slice.start + slice.length);
    data.writeUInt32LE(~data.readUInt32LE(4) >>> 0, 4);
    slice.checksum = crc32(data);
  }
  const json = Buffer.from(JSON.stringify(index));
  const header = Buffer.alloc(8);
  header.writeUInt32LE(json.length);
  header.writeUInt32LE(crc32(json), 4);
  return Buffer.concat([header, json, changed.subarray(begin)]);
}

test.each([
  ['that is cut short', (bytes: Buffer) => bytes.subarray(0, -1)],
  ['that is empty', () => Buffer.alloc(0)],
  ['that is all zeros', (bytes: Buffer) => Buffer.alloc(bytes.length)],
  ['of another V8', withOtherVersion],
  ['with a changed bit in its length', (bytes: Buffer) => withChangedBit(bytes, 0)],
  ['with a changed bit in its index', (bytes: Buffer) => withChangedBit(bytes, 0.02)],
  ['with a changed bit in its code', (bytes: Buffer) => withChangedBit(bytes, 0.6)],
  ['with a changed last bit', (bytes: Buffer) => withChangedBit(bytes, 1)],
])('replaces a cache %s', async (_what, spoil) => {
  writeBundle('"hello"');
  await run();
  const file = join(folder, String(caches()[0]));
  const whole = readFileSync(file);
  writeFileSync(file, spoil(whole));

  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\n', stderr: '' });
  const replaced = readFileSync(file);
  expect(replaced.equals(spoil(whole))).toBe(false);
  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\n', stderr: '' });
  expect(readFileSync(file).equals(replaced)).toBe(true);
});

test('works where it cannot write a cache', async () => {
  writeBundle('"hello"');
  mkdirSync(join(folder, `main.${process.version}-${process.arch}.cache`));

  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\n', stderr: '' });
  expect(caches()).toHaveLength(1);
});

test('does not make the data of a cache that it cannot write', async () => {
  writeBundle('"hello"');
  const unfinished = `main.${process.version}-${process.arch}.cache.`;
  const program = `
require('node:vm').Script.prototype.createCachedData = () => { throw new Error('made'); };
require('node:fs').writeFileSync(__dirname + '/${unfinished}' + process.pid, 'of another process');
process.on('exit', () => console.log(require('node:fs').readFileSync(__dirname + '/${unfinished}' + process.pid, 'utf8')));
`;
  writeFileSync(join(folder, 'run.cjs'), `${program}${RUN}`);

  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'hello\nof another process\n', stderr: '' });
});

test.each([
  ['NODE_DISABLE_COMPILE_CACHE', '1'],
  // V8 would reject the cache in every run without these options.
  ['NODE_OPTIONS', '--no-warnings'],
])('writes no cache with %s=%s', async (name, value) => {
  writeBundle('"hello"');

  expect(await run({ [name]: value })).toMatchObject({ exitCode: 0, stdout: 'hello\n' });
  expect(caches()).toEqual([]);
});

test('a stack trace names the lines of the file', async () => {
  writeBundle('{ throw new Error("broken"); }');

  const { stderr } = await run();

  expect(stderr).toMatch(/at .*word.*main\.js:10:/);
  expect(stderr).toMatch(/at .*greet.*main\.js:5:/);
});
