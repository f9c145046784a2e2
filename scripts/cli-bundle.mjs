// @ts-check
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { build, transform } from 'esbuild';
import { packageFolder } from './bundled-licences.mjs';

/** Node 20 has them, and compiles a literal only when it is used. */
const LITERALS = { 'regexp-unicode-property-escapes': true };

/**
 * Builds the CLI into one file, in the form that `bin/bundle.js` loads: all JavaScript, packages included.
 *
 * @param {string} root of the project
 * @param {import('esbuild').BuildOptions} options
 * @returns {Promise<{ text: string, metafile: import('esbuild').Metafile }>}
 */
export async function bundleCli(root, options) {
  const { outputFiles, metafile } = await build({
    ...options,
    plugins: [...(options.plugins ?? []), quickerPackages],
    metafile: true,
    write: false,
    entryPoints: ['src/cli/main.ts'],
    outdir: 'dist/cli',
    chunkNames: '[name]-[hash]',
    splitting: true,
    format: 'esm',
    define: { ...options.define, 'import.meta.url': 'moduleUrl' },
    supported: LITERALS,
  });
  const modules = await Promise.all(
    outputFiles.map(async ({ path, text }) => {
      const packages = packagesOf(metafile.outputs[relative(root, path)]);
      const comment = packages.length === 0 ? '' : `// packages: ${packages.join(' ')}\n`;
      return { name: nameOf(path), text: `${comment}${await asProperty(nameOf(path), text)}` };
    }),
  );
  // What every command loads is one script.
  const started = staticClosure(metafile, 'dist/cli/main.js').map(nameOf);
  const isStarted = ({ name = '' }) => started.includes(name);
  const scripts = [
    modules.filter(isStarted),
    ...modules.filter((one) => !isStarted(one)).map((one) => [one]),
  ];
  return { text: joined(scripts), metafile };
}

/** @param {import('esbuild').Metafile['outputs'][string] | undefined} output */
function packagesOf(output) {
  const folders = Object.keys(output?.inputs ?? {}).map(packageFolder);
  return [...new Set(folders)]
    .filter((folder) => folder !== null)
    .map((folder) => folder.replace(/^.*node_modules\//, ''));
}

/** @param {string} path */
function nameOf(path) {
  return `./${basename(path)}`;
}

/**
 * @param {import('esbuild').Metafile} metafile
 * @param {string} entry
 */
function staticClosure({ outputs }, entry) {
  const found = new Set([entry]);
  for (const path of found) {
    for (const { kind, path: imported, external } of outputs[path]?.imports ?? []) {
      if (kind === 'import-statement' && !external) found.add(imported);
    }
  }
  return [...found];
}

/**
 * Code of packages, and quicker code in its place.
 *
 * @type {ReadonlyArray<{ file: RegExp, code: string, quicker: string }>}
 */
const QUICKER = [
  {
    // libsql asks twice for the C library. This package looks into a report of the whole process, which takes Node some
    // milliseconds; detect-libc looks into a file.
    file: /[\\/]@neon-rs[\\/]load[\\/]dist[\\/]index\.js$/,
    code: 'process.report?.getReport()',
    quicker: "{ header: require('detect-libc').familySync() === 'glibc' ? { glibcVersionRuntime: '' } : {} }",
  },
  {
    // V8 takes some milliseconds to compile the pattern of all emojis. Neither ASCII text nor "…" has one.
    file: /[\\/]string-width[\\/]index\.js$/,
    code: "string = string.replace(emojiRegex(), '  ');",
    quicker:
      "if (/^[ -~…]*$/.test(string)) return string.length;\n\tstring = string.replace(emojiRegex(), '  ');",
  },
];

/** @type {import('esbuild').Plugin} */
const quickerPackages = {
  name: 'quicker-packages',
  setup: ({ onLoad }) => {
    for (const { file, code, quicker } of QUICKER) {
      onLoad({ filter: file }, ({ path }) => {
        const [before, after, ...more] = readFileSync(path, 'utf8').split(code);
        if (after === undefined || more.length > 0) throw new Error(`${path} has changed: check QUICKER.`);
        return { contents: `${before}${quicker}${after}` };
      });
    }
  },
};

/**
 * A module as a property that is a function. ASCII only: V8 needs one byte for each character, and positions in the text are positions in
 * the file.
 *
 * @param {string} name
 * @param {string} module
 */
async function asProperty(name, module) {
  const { code } = await transform(module, {
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    supported: { ...LITERALS, 'dynamic-import': false },
  });
  const ascii = code.replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${JSON.stringify(name)}(exports, require, module, moduleUrl) {\n${ascii}},\n`;
}

/** @param {ReadonlyArray<ReadonlyArray<{ name: string, text: string }>>} scripts */
function joined(scripts) {
  const texts = scripts.map((modules) => `({\n${modules.map(({ text }) => text).join('')}})\n`);
  let [start, line] = [0, 2];
  const places = scripts.map((modules, index) => {
    const text = texts[index] ?? '';
    const place = { modules: modules.map(({ name }) => name), start, length: text.length, line };
    start += text.length;
    line += text.split('\n').length - 1;
    return place;
  });
  const text = texts.join('');
  const hash = createHash('sha256').update(text).digest('base64url');
  const index = `// ${JSON.stringify({ hash, scripts: places })}\n`;
  return `// ${String(index.length).padStart(8, '0')}\n${index}${text}`;
}
