import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useBrowser } from '../support/browser.js';
import { cli } from '../support/cli.js';
import { keyIds, plant } from '../support/planted-entries.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const HOSTILE = [
  '</script><script>hacked=1</script>',
  '<!--<script>',
  '<img src=x onerror=hacked=1>',
  '"data"</script>',
  "$&$'$`",
  'javascript:hacked=1',
];
const HOSTILE_KID = '"><svg/onload=hacked=1>';

const open = useBrowser();

describe.each(BACKENDS)('cache inspect --html, on %s', (backend) => {
  let stores: Stores;
  let url: string;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TIMEOUT: '1s' });
    await stores.json('keys', 'generate', '--kid', HOSTILE_KID);
    await stores.json('keys', 'generate', '--kid', 'next');
    const keyId = (await keyIds(stores))[HOSTILE_KID] ?? 0;
    const now = stores.clock.now();
    for (const [index, sub] of HOSTILE.entries()) {
      const entries = Array.from({ length: index + 1 }, (_, hour) => ({
        ...{ jti: `j${hour}`, keyId, iat: now - 10, exp: now + 3_600 * (hour + 1) - 1 },
      }));
      await plant(stores, sub, entries);
    }
    // The test's clock stands still, and doctor compares it with those of the servers.
    stores.clock.advance(Math.floor(Date.now() / 1000) - stores.clock.now());
    expect((await stores.run('cache', 'inspect', '--html', 'page.html')).exitCode).toBe(0);
    url = pathToFileURL(join(stores.home, 'page.html')).href;
  });
  afterAll(() => stores?.close());

  test('shows hostile names as text, and requests nothing', async () => {
    const { page, complaints, requests } = await open(url);

    const shown = await page.locator('#top-subjects tbody th').allTextContents();
    expect(shown.sort()).toEqual([...HOSTILE].sort());
    expect(await page.locator('#by-key tbody th').allTextContents()).toEqual([HOSTILE_KID]);
    expect(await page.locator('.chart svg .key .kid').allTextContents()).toEqual([HOSTILE_KID, 'next']);
    expect(await page.locator('#page').textContent()).toContain('21');
    expect(await page.evaluate('typeof hacked')).toBe('undefined');
    expect({ complaints, requests }).toEqual({ complaints: [], requests: [url] });
    await page.context().close();
  });

  test('has the numbers of the other commands', async () => {
    const { page } = await open(url);
    const { report } = JSON.parse((await page.locator('#data').textContent()) ?? '');
    const [inspection, doctor] = [
      await stores.json('cache', 'inspect', '--deep'),
      (await stores.run('doctor', '--json')).json(),
    ];

    const changing = { bytes: expect.anything(), byNode: expect.anything() };
    expect(report.inspection).toEqual({ ...inspection, ...changing });
    expect(report.doctor.checks.flatMap(resultOf)).toEqual(doctor.checks.flatMap(resultOf));
    expect(report.inspection.anomalies.unknownUser).toBe(HOSTILE.length);
    expect(await page.locator('#findings h2').textContent()).toMatch(/^! \d warnings?$/);
    expect(await page.locator('#findings li').first().textContent()).toContain('What to do: ');
    await page.context().close();
  });
});

function resultOf({ check, result }: { check: string; result: string }) {
  return check === 'clocks' ? [] : { check, result };
}

describe('the page of cache inspect --html', () => {
  let stores: Stores;
  let url: string;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate', '--kid', 'k'.repeat(255));
    await stores.json('keys', 'generate');
    for (const sub of ['alice', 'x'.repeat(255)])
      await stores.json('token', 'issue', '--sub', sub, '--create-user');
    await stores.run('cache', 'inspect', '--html', 'page.html');
    url = pathToFileURL(join(stores.home, 'page.html')).href;
  });
  afterAll(() => stores?.close());

  test.each([360, 768, 1600])('does not scroll sideways at a width of %i', async (width) => {
    const { page } = await open(url, { viewport: { width, height: 700 } });
    await page.locator('.chart svg').first().waitFor();
    for (const details of await page.locator('summary').all()) await details.click();

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    await page.context().close();
  });

  test('has a light and a dark appearance', async () => {
    const background = async (colorScheme: 'light' | 'dark') => {
      const { page } = await open(url, { colorScheme });
      const color = String(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await page.context().close();
      return Math.max(...[...color.matchAll(/\d+/g)].map(Number));
    };

    expect(await background('light')).toBeGreaterThan(220);
    expect(await background('dark')).toBeLessThan(50);
  });

  test('counts one subject in the singular', async () => {
    const shell = cli();
    await shell.json('keys', 'generate');
    await shell.json('token', 'issue', '--sub', 'alice', '--create-user');
    await shell.run('cache', 'inspect', '--html', 'page.html');
    const { page } = await open(pathToFileURL(join(shell.home, 'page.html')).href);
    expect(await page.locator('.facts').textContent()).toContain('1of 1 subjectRegistry');
    await page.context().close();
  });

  test('explains each mark of a chart to the keyboard', async () => {
    const { page } = await open(url);
    const chart = page.locator('#expiry .chart');
    await chart.locator('.mark').first().focus();
    expect(await chart.locator('.tip').innerText()).toContain('2 tokens, 100%');

    await page.keyboard.press('End');
    expect(await chart.locator('.tip').innerText()).toContain('0 tokens, 0%');
    await page.keyboard.press('Escape');
    expect(await chart.locator('.tip').isVisible()).toBe(false);
    expect(await chart.locator('[tabindex="0"]').count()).toBe(1);
    await page.context().close();
  });

  test('its policy refuses scripts that are not its own', async () => {
    const { page, complaints } = await open(url);
    await page.evaluate(`
      const script = document.createElement('script');
      script.textContent = 'hacked = 1';
      document.body.append(script);
    `);

    expect(await page.evaluate('typeof hacked')).toBe('undefined');
    expect(complaints.join()).toContain('Content Security Policy');
    await page.context().close();
  });
});

describe('cache inspect --html', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  test('replaces a file, which only its owner may read', async () => {
    const file = join(stores.home, 'existing.html');
    writeFileSync(file, 'old', { mode: 0o644 });

    const written = await stores.json('cache', 'inspect', '--html', 'existing.html');

    expect(written).toMatchObject({ file, entries: 0, complete: true, bytes: statSync(file).size });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^<!doctype html>/);
    expect(readdirSync(stores.home).filter((name) => name.includes('existing'))).toEqual(['existing.html']);
  });

  test('prints the page with -', async () => {
    const { exitCode, stdout } = await stores.run('cache', 'inspect', '--html', '-');
    expect({ exitCode, start: stdout.slice(0, 15) }).toEqual({ exitCode: 0, start: '<!doctype html>' });
  });

  test('writes nothing with --dry-run', async () => {
    await stores.json('cache', 'inspect', '--html', 'dry.html', '--dry-run');
    expect(readdirSync(stores.home)).not.toContain('dry.html');
  });

  test.each([
    ['--sub', 'alice'],
    ['--kid', 'k'],
    ['--watch', '2s'],
  ])('is refused with %s', async (...words) => {
    const { exitCode, stderr } = await stores.run('cache', 'inspect', '--html', 'p.html', ...words);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining(words[0] ?? '') });
  });

  test('is refused with - and JSON output', async () => {
    const refused = await stores.run('cache', 'inspect', '--html', '-', '--json');
    expect({ exitCode: refused.exitCode, stdout: refused.stdout }).toEqual({ exitCode: 2, stdout: '' });
  });

  test('says at the top of the page that the scan is incomplete, and exits with 5', async () => {
    const whole = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
    try {
      await whole.json('keys', 'generate', '--kid', 'k1');
      const [master] = (await whole.redis?.keys())?.keys() ?? [];
      const [port] = await closedPorts(1);
      const { clock, home, env } = whole;
      const withMasterAway = cli({
        ...{ clock, home, env: { ...env, JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` } },
      });
      const { exitCode, stderr } = await withMasterAway.run('cache', 'inspect', '--html', 'part.html', '-q');
      expect({ exitCode, stderr }).toEqual({
        exitCode: 5,
        stderr: expect.stringMatching(/^Not read: slots/m),
      });

      const { page } = await open(pathToFileURL(join(home, 'part.html')).href);
      const first = page.locator('main > *').first();
      expect(await first.innerText()).toMatch(/Incomplete[\s\S]*Not read: slots/);
      expect(await page.locator('.facts .value').first().textContent()).toBe('at least 0');
      expect(await page.locator('#findings').getAttribute('class')).toContain('bad');
      await page.context().close();
    } finally {
      await whole.close();
    }
  });
});
