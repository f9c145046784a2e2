// @ts-check
/**
 * Loads the modules of `dist/cli/main.js` when they are first required. The file has scripts, and each script is an object
 * with a function for each of its modules. The second line says where the scripts are, and the first line how long the
 * second is. It is one file, so that a build that runs meanwhile replaces all of it.
 *
 * V8's code cache saves most of the time for compiling them. It is kept in the same folder, so only those who may change
 * the modules may write it. `node:module` has such a cache only since Node 22, and each user would need a safe folder.
 */
const fs = require('node:fs');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');
const { crc32 } = require('node:zlib');

/**
 * @typedef {{ start: number, length: number }} Slice in bytes
 * @typedef {Slice & { modules: readonly string[], line: number }} Place of a script
 * @typedef {{ hash: string, scripts: readonly Place[] }} Index
 * @typedef {Slice & { checksum: number }} Cached code of a script
 * @typedef {{ hash: string, slices: Record<number, Cached> }} CacheIndex by the index of the script
 * @typedef {(exports: object, require: (name: string) => any, module: object, url: string) => void} Define
 */

/** Built-in modules that take Node milliseconds to load, and whose exports are an object. */
const COSTLY = new Set(
  [
    'child_process',
    'crypto',
    'fs/promises',
    'http',
    'net',
    'os',
    'timers/promises',
    'tls',
    'worker_threads',
    'zlib',
  ].flatMap((name) => [name, `node:${name}`]),
);

const COMMENT = '// ';
const FIRST_LINE = '// 00000000\n';
/** The length of the cache's index, and the checksum of the index. */
const HEADER_BYTES = 8;
const LEAST_SHARED_BYTES = 2 ** 18;

/** @param {string} folder */
function openBundle(folder) {
  const file = `${folder}/main.js`;
  const cacheFile = `${folder}/main.${process.version}-${process.arch}.cache`;
  const source = fs.openSync(file, 'r');
  const { hash, scripts, begin } = readIndex(source);
  const cache = isCacheOff() ? null : openCache(cacheFile, hash);
  const url = pathToFileURL(file).href;
  const scriptOf = new Map(scripts.flatMap(({ modules }, index) => modules.map((name) => [name, index])));
  /** @type {Map<number, Record<string, Define>>} */
  const run = new Map();
  /** @type {Map<string, { exports: any }>} */
  const loaded = new Map();
  /** @type {Map<string, any>} */
  const builtins = new Map();
  /** The scripts that V8 had to compile. @type {Map<number, Script>} */
  const compiled = new Map();

  /** @param {string} name @returns {any} */
  const load = (name) => {
    const known = loaded.get(name);
    if (known !== undefined) return known.exports;
    const index = scriptOf.get(name);
    if (index === undefined) return COSTLY.has(name) ? builtin(name) : external(name);
    const module = { exports: {} };
    loaded.set(name, module);
    const definitions = run.get(index) ?? runScript(index);
    definitions[name]?.(module.exports, load, module, url);
    return module.exports;
  };

  /** @param {number} index @returns {Record<string, Define>} */
  const runScript = (index) => {
    const { start, length, line } = /** @type {Place} */ (scripts[index]);
    const text = readShared(source, begin + start, length).toString('latin1');
    const cachedData = cache?.read(index);
    const script = new Script(text, { filename: file, lineOffset: line, ...(cachedData && { cachedData }) });
    if (!cachedData || script.cachedDataRejected) compiled.set(index, script);
    const definitions = script.runInThisContext();
    run.set(index, definitions);
    return definitions;
  };

  /** @param {string} name */
  const builtin = (name) => {
    const known = builtins.get(name) ?? whenUsed(() => require(name));
    builtins.set(name, known);
    return known;
  };

  /** Adds what was compiled to the cache. */
  const save = () => {
    // V8 rejects a cache that was written under other flags.
    if (compiled.size === 0 || isCacheOff() || process.execArgv.length > 0 || process.env.NODE_OPTIONS)
      return;
    replaceFile(cacheFile, fs.fstatSync(source).mode, () => {
      const entries = new Map(cache?.entries());
      for (const [index, script] of compiled) entries.set(index, script.createCachedData());
      return cacheBytes(hash, entries);
    });
  };
  return { load, save };
}

/**
 * The index in the second line, and where the modules begin.
 *
 * @param {number} source
 * @returns {Index & { begin: number }}
 */
function readIndex(source) {
  const length = Number(read(source, 0, FIRST_LINE.length).toString('latin1', COMMENT.length));
  const index = read(source, FIRST_LINE.length, length).toString('latin1', COMMENT.length);
  return { ...JSON.parse(index), begin: FIRST_LINE.length + length };
}

/**
 * Loads a built-in module, or the native code of libsql, which is installed for libsql.
 *
 * @param {string} name
 */
function external(name) {
  return name.startsWith('@libsql/') ? createRequire(require.resolve('libsql'))(name) : require(name);
}

function isCacheOff() {
  // Node 21, and 22 before 22.2, have no checksum.
  return process.env.NODE_DISABLE_COMPILE_CACHE === '1' || crc32 === undefined;
}

/**
 * An object that stands for the exports of a module, which is loaded when the first of them is used.
 *
 * @param {() => any} load
 */
function whenUsed(load) {
  return new Proxy(
    {},
    {
      get: (_target, name) => load()[name],
      has: (_target, name) => name in load(),
      ownKeys: () => Reflect.ownKeys(load()),
      getOwnPropertyDescriptor: (_target, name) => ({
        ...Object.getOwnPropertyDescriptor(load(), name),
        configurable: true,
      }),
    },
  );
}

/**
 * Null if there is no cache of this build. V8 checks which version of V8 made the cache, but not whether the data is
 * intact: changed data would crash the process.
 *
 * @param {string} file
 * @param {string} hash
 */
function openCache(file, hash) {
  try {
    const descriptor = fs.openSync(file, 'r');
    const header = read(descriptor, 0, HEADER_BYTES);
    const length = header.readUInt32LE();
    if (length > fs.fstatSync(descriptor).size) return null;
    const json = read(descriptor, HEADER_BYTES, length);
    if (crc32(json) !== header.readUInt32LE(4)) return null;
    /** @type {CacheIndex} */
    const { hash: of, slices } = JSON.parse(json.toString('latin1'));
    if (of !== hash) return null;
    const begin = HEADER_BYTES + json.length;
    /** Valid until the next read. @param {number} script */
    const readSlice = (script) => {
      const slice = slices[script];
      if (slice === undefined) return null;
      const data = readShared(descriptor, begin + slice.start, slice.length);
      return crc32(data) === slice.checksum ? data : null;
    };
    return {
      read: readSlice,
      /** @returns {Array<[script: number, data: Buffer]>} */
      entries: () =>
        Object.keys(slices).flatMap((key) => {
          const data = readSlice(Number(key));
          return data === null ? [] : [[Number(key), Buffer.from(data)]];
        }),
    };
  } catch {
    return null;
  }
}

/**
 * Replaces the file, so that no process reads half of one. A folder that this account cannot write to is left as it is.
 *
 * @param {string} file
 * @param {number} mode
 * @param {() => Buffer} makeBytes takes long, so it is called only if the file can be written
 */
function replaceFile(file, mode, makeBytes) {
  const unfinished = `${file}.${process.pid}`;
  const descriptor = openNew(unfinished, mode);
  if (descriptor === null) return;
  try {
    fs.writeFileSync(descriptor, makeBytes());
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    fs.renameSync(unfinished, file);
  } catch {
    fs.rmSync(unfinished, { force: true });
  }
}

/**
 * @param {string} file
 * @param {number} mode
 */
function openNew(file, mode) {
  try {
    return fs.openSync(file, 'wx', mode);
  } catch {
    return null;
  }
}

/**
 * @param {string} hash
 * @param {Map<number, Buffer>} entries
 */
function cacheBytes(hash, entries) {
  /** @type {CacheIndex} */
  const index = { hash, slices: {} };
  let start = 0;
  for (const [script, data] of entries) {
    index.slices[script] = { start, length: data.length, checksum: crc32(data) };
    start += data.length;
  }
  const json = Buffer.from(JSON.stringify(index));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(json.length);
  header.writeUInt32LE(crc32(json), 4);
  return Buffer.concat([header, json, ...entries.values()]);
}

/**
 * @param {number} descriptor
 * @param {number} start
 * @param {number} length
 */
function read(descriptor, start, length) {
  const bytes = Buffer.allocUnsafeSlow(length);
  fs.readSync(descriptor, bytes, 0, length, start);
  return bytes;
}

let shared = Buffer.alloc(0);

/**
 * Reads into memory that the next call uses again.
 *
 * @param {number} descriptor
 * @param {number} start
 * @param {number} length
 */
function readShared(descriptor, start, length) {
  if (shared.length < length) shared = Buffer.allocUnsafeSlow(Math.max(length, LEAST_SHARED_BYTES));
  fs.readSync(descriptor, shared, 0, length, start);
  return shared.subarray(0, length);
}

module.exports = { openBundle };
