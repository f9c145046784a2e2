// @ts-check
/**
 * Builds the page of `cache inspect --html` and of the dashboard: one HTML document that holds its script and its style,
 * and the hashes that its Content-Security-Policy allows.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('../src/page/browser', import.meta.url));

async function buildPage() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: fileURLToPath(new URL('..', import.meta.url)),
    entryPoints: [join(folder, 'main.ts'), join(folder, 'page.css')],
    outdir: folder,
    bundle: true,
    minify: true,
    format: 'iife',
    platform: 'browser',
    target: ['es2022', 'chrome109', 'firefox115', 'safari16.4'],
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
    write: false,
    plugins: [withoutSideEffects],
  });
  const textOf = (/** @type {string} */ end) =>
    outputFiles.find(({ path }) => path.endsWith(end))?.text.trim() ?? '';
  const [script, style] = [textOf('.js'), textOf('.css')];
  const html = readFileSync(join(folder, 'page.html'), 'utf8')
    .replace(/\n\s*/g, '\n')
    .replace('/* style */', () => style)
    .replace('/* script */', () => script);
  const scriptAndStyle = `script-src '${digest(script)}'; style-src '${digest(style)}'`;
  return { html, contentSecurityPolicy: `default-src 'none'; ${scriptAndStyle}; img-src data:`, metafile };
}

/**
 * Leaves out what the page does not use of a module, such as the catalog of errors.
 *
 * @type {import('esbuild').Plugin}
 */
const withoutSideEffects = {
  name: 'without-side-effects',
  setup: ({ onResolve, resolve }) =>
    onResolve({ filter: /^\./ }, async ({ path, pluginData, ...options }) => {
      if (pluginData === withoutSideEffects) return undefined;
      const resolved = await resolve(path, { ...options, pluginData: withoutSideEffects });
      return { ...resolved, sideEffects: false };
    }),
};

/** The page as a module, for an import of `page.html`. */
export async function pageModule() {
  const { html, contentSecurityPolicy, metafile } = await buildPage();
  const contents = Object.entries({ html, contentSecurityPolicy })
    .map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`)
    .join('');
  return { contents, metafile };
}

/**
 * Loads `page.html` as the module that {@link pageModule} has made.
 *
 * @param {{ contents: string }} page
 * @returns {import('esbuild').Plugin}
 */
export function pageLoader({ contents }) {
  return {
    name: 'page',
    setup: ({ onLoad }) => onLoad({ filter: /\bpage\.html$/ }, () => ({ contents })),
  };
}

/** @param {string} text */
function digest(text) {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
