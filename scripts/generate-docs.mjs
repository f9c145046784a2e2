// @ts-check
/**
 * Writes the documents that are made from declarations in `src`. With `--check`, writes nothing and fails if a document
 * is out of date.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { commandsDocument } from './docs/commands.mjs';
import { configurationDocument } from './docs/configuration.mjs';
import { manualPage } from './docs/manual.mjs';
import { exitCodeTable, GENERATED } from './docs/markdown.mjs';
import { metricsDocument } from './docs/metrics.mjs';
import { drawPictures } from './docs/pictures.mjs';
import { pageLoader } from './page.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @type {Readonly<Record<string, () => Promise<string>>>} */
const DOCUMENTS = {
  'docs/errors.md': errorsDocument,
  'docs/commands.md': () => commandsDocument(load),
  'docs/configuration.md': () => configurationDocument(load),
  'docs/metrics.md': () => metricsDocument(load),
  'man/jwtctl.1': () => manualPage(load),
};

const isCheck = process.argv.includes('--check');
for (const [name, generate] of Object.entries(DOCUMENTS)) publish(name, await generate());
for (const [name, text] of Object.entries(await drawPictures(load))) publish(name, text);

/**
 * Writes a file, or checks it.
 *
 * @param {string} name
 * @param {string} text
 */
function publish(name, text) {
  const path = join(root, name);
  if (!isCheck) writeFileSync(path, text);
  else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.error(`${name} is out of date. Run \`npm run docs\`.`);
    process.exitCode = 1;
  }
}

/** Every error code with its kind, exit code, meaning, and remedy, grouped by area. */
async function errorsDocument() {
  const codes = 'src/domain/shared/error-catalog';
  const { CONFIG_ERRORS } = await load(`${codes}/config.ts`);
  const { FILES_ERRORS } = await load(`${codes}/files.ts`);
  const { KEYS_ERRORS } = await load(`${codes}/keys.ts`);
  const { PROGRAM_ERRORS } = await load(`${codes}/program.ts`);
  const { STORES_ERRORS } = await load(`${codes}/stores.ts`);
  const { TOKENS_ERRORS } = await load(`${codes}/tokens.ts`);
  const { exitCodeOfKind } = await load('src/cli/output/exit-code.ts');

  const area = (/** @type {string} */ title, /** @type {Record<string, any>} */ entries) =>
    `\n## ${title}\n${Object.entries(entries)
      .map(
        ([code, { kind, meaning, remedy }]) =>
          `\n### ${code}\n\n${meaning} Kind \`${kind}\`, exit code ${exitCodeOfKind(kind)}.\n\n**What to do:** ${remedy}\n`,
      )
      .join('')}`;

  return `# Errors

${GENERATED}

With \`--json\`, an error is one JSON document on stderr: \`{"error":{"code":"ERR_…","message":"…","hint":"…"}}\`. The code is stable,
and the hint says what to do next. The [library](library.md#errors) throws the same codes. \`jwtctl help ERR_NO_STORE\` prints the
entry for one code.

## Exit codes

${await exitCodeTable(load)}

If a store cannot be reached, jwtctl neither accepts nor refuses a token: the exit code is 4, and the library rejects with an error
of kind \`unavailable\`.

The kind decides the exit code, with two exceptions. \`token verify\` and \`token register\` exit with 1 for every code that refuses a
token. If a secret file cannot be read because it is being replaced, the kind is \`unavailable\`.

## Refused tokens

[Why a token is refused](server.md#why-a-token-is-refused) lists the codes that refuse a token, and what the client sees.
${area('Tokens and users', TOKENS_ERRORS)}${area('Keys', KEYS_ERRORS)}${area('Stores', STORES_ERRORS)}${area('Configuration', CONFIG_ERRORS)}${area('Files and input', FILES_ERRORS)}${area('Command line, server, and library', PROGRAM_ERRORS)}`;
}

/**
 * Loads a TypeScript module. The bundle lies below the root, so that its imports of packages are found.
 *
 * @param {string} source
 * @returns {Promise<any>}
 */
async function load(source) {
  const outfile = join(root, 'node_modules', `.docs-${process.pid}-${source.replace(/\W/g, '-')}.mjs`);
  await build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile: relative(root, outfile),
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    loader: { '.lua': 'text' },
    // No document needs the page.
    plugins: [pageLoader({ contents: 'export const html = "", contentSecurityPolicy = "";' })],
    logLevel: 'warning',
  });
  try {
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(outfile);
  }
}
