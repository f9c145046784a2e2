// @ts-check
/**
 * Writes docs/images/page-*.png and dashboard.png: the page of `cache inspect --html` and the dashboard, over a registry
 * that this script fills, in Chromium. Run it after a change of the page. The images are not made by the tests, because fonts differ between systems.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
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

const DAY = 86_400;
let now = 0;
let folder = '';
/** @type {Record<string, string>} */
let env = {};
const browser = await chromium.launch({
  executablePath: findChromium(),
  args: CHROMIUM_ARGUMENTS,
  env: { ...process.env, TZ: 'UTC' },
});
try {
  mkdirSync(join(root, 'docs/images'), { recursive: true });
  await fill(Date.UTC(2026, 10, 30, 9, 20) / 1000);
  await picturePage();
  await fill(Math.floor(Date.now() / 1000));
  await pictureDashboard();
} finally {
  await browser.close();
}

async function picturePage() {
  await run('cache', 'inspect', '--html', 'page.html', '--top', '8');
  const file = join(folder, 'page.html');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(folder, '/var/lib'));
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    const page = await openPage(pathToFileURL(file).href, { colorScheme });
    await page.locator('.chart svg').first().waitFor();
    await page.screenshot({ path: join(root, `docs/images/page-${colorScheme}.png`), fullPage: true });
    await page.close();
  }
}

/** Its upper part, after some seconds of traffic and a revocation. */
async function pictureDashboard() {
  const secret = randomBytes(32).toString('hex');
  const secretSha256 = createHash('sha256').update(secret).digest('hex');
  const clients = JSON.stringify([{ id: 'operators', secretSha256, may: ['read'] }]);
  const serving = { JWTCTL_SERVE_DASHBOARD: 'true', JWTCTL_SERVE_CLIENTS: clients, JWTCTL_SERVE_DRAIN: '1s' };
  const port = 8790;
  const server = spawn(
    process.execPath,
    [join(root, 'bin/jwtctl.js'), 'serve', '--workers', '2', '--port', String(port), '--quiet'],
    { env: { ...env, ...serving }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  try {
    await once(server.stderr, 'data');
    server.stderr.resume();
    const address = `http://127.0.0.1:${port}`;
    await run('users', 'add', 'alice@example.com');
    const httpCredentials = { username: 'operators', password: secret };
    const tokens = [];
    for (const sub of ['alice', 'user-1', 'user-2'])
      tokens.push(await run('token', 'issue', '--sub', `${sub}@example.com`, '--meta', 'device=Pixel 9'));
    const end = Date.now() + 40_000;
    let requests = 0;
    /** @type {import('playwright-core').Page | undefined} */
    let page;
    while (Date.now() < end) {
      requests += 1;
      const token = requests % 23 === 0 ? 'x' : tokens[requests % tokens.length];
      await fetch(`${address}/verify`, { headers: { authorization: `Bearer ${token}` } });
      await new Promise((resolve) => setTimeout(resolve, 15 + 25 * Math.random()));
      now = Math.floor(Date.now() / 1000);
      // By now, both workers have loaded the keys.
      if (requests === 150) page = await openPage(`${address}/dashboard`, { httpCredentials });
      if (requests === 500)
        await run(
          ...['token', 'revoke', '--sub', 'user-2@example.com', '--all', '--yes'],
          ...['--reason', 'lost phone'],
        );
    }
    if (page === undefined) throw new Error('The server is too slow.');
    await page.getByRole('textbox').fill('alice@example.com');
    await page.keyboard.press('Enter');
    await page.locator('#session-list table').waitFor();
    await page.evaluate('scrollTo(0, 0)');
    const box = await page.locator('#keys').boundingBox();
    const clip = { x: 0, y: 0, width: 1280, height: (box?.y ?? 0) + (box?.height ?? 0) + 16 };
    await page.screenshot({ path: join(root, 'docs/images/dashboard.png'), fullPage: true, clip });
  } finally {
    server.kill('SIGTERM');
    await once(server, 'close');
  }
}

/**
 * @param {string} url
 * @param {import('playwright-core').BrowserContextOptions} options
 */
async function openPage(url, options) {
  const page = await browser.newPage({ locale: 'en-US', viewport: { width: 1280, height: 800 }, ...options });
  await page.goto(url);
  return page;
}

/** Makes a store with four keys in their states, and tokens that end at different times. */
async function fill(/** @type {number} */ end) {
  const own = mkdtempSync(join(tmpdir(), 'jwtctl-images-'));
  process.on('exit', () => rmSync(own, { recursive: true, force: true }));
  folder = own;
  env = {
    HOME: folder,
    XDG_DATA_HOME: folder,
    XDG_CONFIG_HOME: folder,
    JWTCTL_TOKEN_MAX_TTL: '2d',
    JWTCTL_KEYS_ROTATE_AFTER: '30d',
    JWTCTL_KEYS_PUBLISH_LEAD: '7d',
  };
  now = Math.floor(end - 62.5 * DAY);
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
  let printed = '';
  const stream = (/** @type {(text: string) => void} */ take) =>
    new Writable({ write: (chunk, _encoding, done) => done(void take(String(chunk))) });
  const io = {
    stdin: Readable.from([]),
    stdout: stream((text) => {
      printed += text;
    }),
    stderr: stream((text) => {
      said += text;
    }),
    ...{ env, cwd: folder },
    clock: { now: () => now, until: async () => {}, pause: async () => {} },
  };
  if ((await main(words, io)) !== 0) throw new Error(`jwtctl ${words.join(' ')}: ${said}`);
  return printed.trim();
}
