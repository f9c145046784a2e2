// @ts-check
/**
 * Writes docs/images/page-*.png: the page of `cache inspect --html` over a registry that this script fills, in Chromium.
 * Run it after a change of the page. The images are not made by the tests, because fonts differ between systems.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import bundles from '../bin/bundle.js';
import { CHROMIUM_ARGUMENTS, findChromium } from './programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { main } = bundles.openBundle(join(root, 'dist/cli')).load('./main.js');
const folder = mkdtempSync(join(tmpdir(), 'jwtctl-images-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const DAY = 86_400;
let now = Date.UTC(2026, 10, 30, 9, 20) / 1000 - 62.5 * DAY;
const env = {
  HOME: folder,
  XDG_DATA_HOME: folder,
  XDG_CONFIG_HOME: folder,
  JWTCTL_TOKEN_MAX_TTL: '2d',
  JWTCTL_KEYS_ROTATE_AFTER: '30d',
  JWTCTL_KEYS_PUBLISH_LEAD: '7d',
};

await fill();
await run('cache', 'inspect', '--html', 'page.html', '--top', '8');
const file = join(folder, 'page.html');
writeFileSync(file, readFileSync(file, 'utf8').replaceAll(folder, '/var/lib'));
const browser = await chromium.launch({
  executablePath: findChromium(),
  args: CHROMIUM_ARGUMENTS,
  env: { ...process.env, TZ: 'UTC' },
});
try {
  mkdirSync(join(root, 'docs/images'), { recursive: true });
  for (const [name, colorScheme, width] of /** @type {const} */ ([
    ['page-light', 'light', 1280],
    ['page-dark', 'dark', 1280],
    ...(process.env.NARROW === undefined ? [] : [/** @type {const} */ (['page-narrow', 'light', 360])]),
  ])) {
    const page = await browser.newPage({ colorScheme, locale: 'en-US', viewport: { width, height: 800 } });
    await page.goto(pathToFileURL(file).href);
    await page.locator('.chart svg').first().waitFor();
    await page.screenshot({ path: join(root, `docs/images/${name}.png`), fullPage: true });
    await page.close();
  }
} finally {
  await browser.close();
}

/** Four keys in their states, and tokens that end at different times. */
async function fill() {
  await run('keys', 'generate', '--kid', '2026-09');
  now += 20 * DAY;
  await run('keys', 'generate', '--kid', '2026-10');
  now += 9 * DAY;
  await run('keys', 'generate', '--kid', '2026-11');
  now += 2 * DAY;
  await run('keys', 'rotate');
  now += 20 * DAY;
  await run('keys', 'generate', '--kid', '2026-12');
  now += 10.5 * DAY;
  await addUsers();
  await issue(60, '2d', 7);
  now += DAY / 2;
  await run('keys', 'rotate');
  now += DAY / 2;
  for (const [count, ttl] of /** @type {const} */ ([
    [90, '20m'],
    [60, '2h'],
    [70, '4h'],
    [150, '8h'],
    [110, '9h'],
    [40, '12h'],
    [30, '18h'],
    [50, '23h'],
    [80, '2d'],
  ]))
    await issue(count, ttl, count % 11);
}

async function addUsers() {
  const names = Array.from({ length: 120 }, (_, index) => `user-${index}@example.com`);
  writeFileSync(join(folder, 'users.csv'), ['sub', ...names].join('\n'));
  await run('users', 'import', 'users.csv');
}

/** Some users get more tokens than others. */
async function issue(/** @type {number} */ count, /** @type {string} */ ttl, /** @type {number} */ seed) {
  const subs = Array.from({ length: count }, (_, index) => {
    const rank = (index * 7919 + seed * 104_729) % 1000;
    return `user-${Math.floor(120 * (rank / 1000) ** 2)}@example.com`;
  });
  await issueTo(subs, ttl);
}

async function issueTo(/** @type {string[]} */ subs, /** @type {string} */ ttl) {
  writeFileSync(join(folder, 'subs.txt'), subs.join('\n'));
  await run('token', 'issue', '--sub-file', 'subs.txt', '--ttl', ttl);
}

async function run(/** @type {string[]} */ ...words) {
  let said = '';
  const stream = (/** @type {(text: string) => void} */ take) =>
    new Writable({ write: (chunk, _encoding, done) => done(void take(String(chunk))) });
  const io = {
    stdin: Readable.from([]),
    stdout: stream(() => {}),
    stderr: stream((text) => {
      said += text;
    }),
    ...{ env, cwd: folder },
    clock: { now: () => now, until: async () => {}, pause: async () => {} },
  };
  if ((await main(words, io)) !== 0) throw new Error(`jwtctl ${words.join(' ')}: ${said}`);
}
