import stringWidth from 'string-width';
import { beforeAll, describe, expect, test } from 'vitest';
import { openStores, type Stores } from '../../../support/stores.js';
import { runAt } from '../../../support/terminal.js';

const DAY = 86_400;

describe('keys list --timeline', () => {
  let stores: Stores;
  let started: number;
  /** k1 is retired, k2 compromised, k3 signs, and k4 is pending. */
  beforeAll(async () => {
    stores = await openStores('SQLite');
    started = stores.clock.now();
    for (const kid of ['k1', 'k2', 'k3']) await stores.json('keys', 'generate', '--kid', kid);
    stores.clock.advance(31 * DAY);
    await stores.json('keys', 'rotate');
    stores.clock.advance(10 * DAY);
    await stores.json('keys', 'compromise', 'k2', '--reason', 'leak', '--yes');
    await stores.json('keys', 'rotate');
  });

  const timeline = (...words: string[]) => stores.json('keys', 'list', '--timeline', ...words);
  const drawn = (columns: number, ...words: string[]) =>
    runAt({ columns }, stores, 'keys', 'list', '--timeline', ...words);

  test('gives the times of each key as numbers', async () => {
    const [k1, k2, k3, k4] = await timeline();
    const names = ['kid', 'state', 'verifyOnly', 'publishedAt', 'signsFrom', 'signsUntil', 'verifiesUntil'];
    expect(Object.keys(k1)).toEqual(names);
    const rotatedAt = started + 31 * DAY;
    expect(k1).toMatchObject({ kid: 'k1', state: 'retired', signsFrom: started, signsUntil: rotatedAt });
    expect(k2).toMatchObject({ kid: 'k2', state: 'compromised', signsFrom: rotatedAt });
    expect(k2.verifiesUntil).toBe(k2.signsUntil);
    expect(k3).toMatchObject({ kid: 'k3', state: 'active', signsFrom: k2.signsUntil });
    expect(k4).toMatchObject({ state: 'pending', signsFrom: k3.signsUntil });
  });

  test('agrees with keys rotate about the next rotation', async () => {
    const { signsFrom } = await stores.json('keys', 'rotate');
    const [active] = await timeline('--state', 'active');
    expect(active.signsUntil).toBe(signsFrom);
  });

  test('lists the keys that --state, --search, and --limit select, of which the newest', async () => {
    const kids = async (...words: string[]) =>
      (await stores.run('keys', 'list', '--timeline', '-q', ...words)).lines();
    expect(await kids('--state', 'compromised')).toEqual(['k2']);
    expect(await kids('--search', 'RETIRED')).toEqual(['k1']);
    expect((await kids('--limit', '2'))[0]).toBe('k3');
    const cut = await drawn(80, '--limit', '2');
    expect(cut.stderr).toContain('Only the newest 2');
    expect(cut.stdout).not.toContain('k2');
    expect((await drawn(80, '--search', 'nothing')).stdout).toBe('Nothing matches --search.\n');
    expect((await drawn(80, '--state', 'retiring')).stdout).toBe('There are no retiring keys.\n');
  });

  test('prints a table of times without a terminal', async () => {
    const [head, k1] = (await stores.run('keys', 'list', '--timeline')).lines();
    const columns = (line = '') => line.split(/ {2,}/);
    expect(columns(head)).toEqual([
      ...['KID', 'STATE', 'PUBLISHED', 'SIGNS FROM', 'SIGNS UNTIL', 'VERIFIES UNTIL'],
    ]);
    const time = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000', '');
    expect(columns(k1).slice(0, 5)).toEqual([
      ...['k1', 'retired', time(started), time(started), time(started + 31 * DAY)],
    ]);
  });

  test.each([80, 140])('draws a line per key within %i columns', async (columns) => {
    const { stdout } = await drawn(columns);
    const lines = stdout.trimEnd().split('\n');
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      ...['Keys', '·', 'KID', '', 'k1', 'k2', 'k3', expect.stringMatching(/.{8}…/), '', ''],
    ]);
    const [k2 = '', k3 = '', k4 = ''] = lines.slice(5, 8);
    expect(k2).toMatch(/^k2 +compromised +·+█+✗/);
    expect(k3).toMatch(/^k3 +active +·+█*│█+▒$/);
    expect(k4).toMatch(/pending +·*│·+█+▒$/);
    // Now and the next rotation point to the lines above.
    const [now = '', next = ''] = lines.slice(8);
    expect(now.indexOf('▲')).toBe(k3.indexOf('│'));
    expect(next.indexOf('▲')).toBe(k3.indexOf('▒'));
    expect(lines[0]).toMatch(/; next rotation in (30d|29d23h), /);
  });

  test('leaves out the state rather than the picture on a narrow terminal', async () => {
    const { stdout } = await drawn(40);
    expect(stdout).toMatch(/^k3 +·+█*│█+▒$/m);
    for (const line of stdout.split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(40);
  });

  test('says that an overdue rotation is done by the next run', async () => {
    stores.clock.advance(40 * DAY);
    expect((await drawn(80)).stdout).toContain('the next run of `jwtctl keys rotate` rotates');
  });

  test('hides keys that ended before the oldest trusted key was published, except with -o wide', async () => {
    for (const days of [0, 31, 31]) {
      stores.clock.advance(days * DAY);
      await stores.json('keys', 'rotate');
    }
    const { stdout } = await drawn(100);
    expect(stdout).toContain('2 keys that ended earlier');
    expect(stdout).not.toContain('k1');
    expect((await drawn(100, '-o', 'wide')).stdout).toMatch(/^k1 +retired +█+▒/m);
  });
});
