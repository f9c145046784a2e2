// @ts-check
/**
 * Draws what the real program prints, as SVG. Its clock is fixed and its keys are named, so the same program draws the
 * same pictures.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { ansiToSvg } from './ansi-to-svg.mjs';

const COLUMNS = 84;
/** For output that names this host, so that long names do not wrap it. */
const UNLIMITED = 1_000;
const DAY = 86_400;
const BEGIN = Date.UTC(2026, 10, 30, 9) / 1000;

/** @typedef {(argv: string[], io: object) => Promise<number>} Main */

/** Each plays on a store of its own. */
const STORIES = [quickStart, rotation, refusal, installation];

async function quickStart(/** @type {Session} */ session) {
  await session.show('keys generate --kid 2026-q4 --quiet');
  await session.show('users add alice --quiet');
  const token = await session.show('token issue --sub alice', { as: 'TOKEN' });
  await session.show('token verify -', { stdin: token });
  await session.show('token revoke -', { stdin: token });
  await session.show('token verify -', { stdin: token, exitCode: 1 });
  session.finish('quick-start', 'A token is issued, verified, revoked, and then refused.');
}

async function rotation(/** @type {Session} */ session) {
  for (const kid of ['2026-q4', '2027-q1', '2027-q2']) await session.run(`keys generate --kid ${kid}`);
  await session.show('keys rotate');
  session.clock.advance(30 * DAY);
  session.say('# 30 days later');
  await session.show('keys rotate');
  await session.show('keys list');
  session.finish(
    'rotation',
    'keys rotate does nothing until the next key is due. Then the old key only verifies.',
  );
}

async function refusal(/** @type {Session} */ session) {
  await session.run('keys generate --kid 2026-q4');
  const token = await session.run('token issue --sub alice --create-user');
  session.clock.advance(600);
  await session.run('token revoke - --reason stolen --actor support', { stdin: token });
  session.clock.advance(60);
  await session.show('token explain -', { stdin: token, exitCode: 1, columns: UNLIMITED });
  session.finish('refusal', 'token explain says why a token is refused, and what to do.');
}

/** In hours. */
const LIFETIMES = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 8, 8, 12];

/** An installation that has rotated a few times, with a compromised key and some live tokens. */
async function installation(/** @type {Session} */ session) {
  const { clock } = session;
  session.env = { JWTCTL_TOKEN_MAX_TTL: '14d' };
  for (const kid of ['2026-12', '2027-01', '2027-02']) await session.run(`keys generate --kid ${kid}`);
  for (const kid of ['2027-03', '2027-04', '2027-05']) {
    clock.advance(15 * DAY);
    await session.run('keys rotate');
    clock.advance(15 * DAY);
    await session.run(`keys generate --kid ${kid}`);
    if (kid === '2027-04') await session.run('keys compromise 2027-01 --reason leaked --yes');
    await session.run('keys rotate');
  }
  clock.advance(12 * DAY);
  for (const [index, sub] of ['alice', 'bob', 'carol', 'dave'].entries()) {
    await session.run(`users add ${sub}`);
    for (const hours of LIFETIMES.slice(index * 4))
      await session.run(`token issue --sub ${sub} --ttl ${hours}h`);
  }
  await session.show('keys list --timeline');
  session.finish(
    'timeline',
    'A time axis on which each key is published, signs, and verifies, with the next rotation.',
  );
  await session.show('status', { columns: UNLIMITED });
  session.finish('status', 'The whole installation on one screen.');
  await session.show('cache inspect --top 4');
  session.finish('inspect', 'Live tokens by key, remaining lifetime, and subject.');
}

/**
 * @param {(source: string) => Promise<any>} load
 * @returns {Promise<Record<string, string>>} the texts by the names of the files
 */
export async function drawPictures(load) {
  const { main } = await load('src/cli/main.ts');
  /** @type {Record<string, string>} */
  const pictures = {};
  for (const play of STORIES) {
    const session = new Session(main);
    try {
      await play(session);
    } finally {
      session.close();
    }
    for (const [name, text] of session.pictures) pictures[`docs/images/${name}.svg`] = text;
  }
  return pictures;
}

/** Runs commands on an embedded store of its own, and records a screen. */
class Session {
  clock = new FixedClock();
  /** @type {Record<string, string>} */
  env = {};
  /** @type {Array<[name: string, text: string]>} */
  pictures = [];
  #screen = '';
  /** What to show in place of random text. */
  #random = new Map([[`${userInfo().username}@${hostname()}`, 'ops@auth-1']]);
  #folder = mkdtempSync(join(tmpdir(), 'jwtctl-pictures-'));
  /** @type {Main} */
  #main;

  constructor(/** @type {Main} */ main) {
    this.#main = main;
    this.#random.set(this.#folder, '~/.local/share');
  }

  /** Adds a line to the screen. */
  say(/** @type {string} */ line) {
    this.#screen += `\n\x1b[2m${line}\x1b[0m\n`;
  }

  /**
   * Runs a command, and shows it with its output.
   *
   * @param {string} command
   * @param {{ stdin?: string, exitCode?: number, columns?: number, as?: string }} [options] `as`: the variable that gets the output
   */
  async show(command, { as, ...options } = {}) {
    const output = await this.run(command, options);
    const typed = options.stdin === undefined ? `jwtctl ${command}` : `echo "$TOKEN" | jwtctl ${command}`;
    if (this.#screen !== '') this.#screen += '\n';
    this.#screen += `$ \x1b[1m${as === undefined ? typed : `${as}=$(${typed})`}\x1b[0m\n`;
    if (as === undefined) this.#screen += this.#alike(output);
    return output;
  }

  /**
   * @param {string} command
   * @param {{ stdin?: string, exitCode?: number, columns?: number }} [options]
   */
  async run(command, { stdin = '', exitCode = 0, columns = COLUMNS } = {}) {
    let output = '';
    let diagnostics = '';
    const stdout = new Writable({
      write: (chunk, _encoding, done) => {
        output += chunk;
        done();
      },
    });
    const stderr = new Writable({
      write: (chunk, _encoding, done) => {
        diagnostics += chunk;
        done();
      },
    });
    const folder = this.#folder;
    const status = await this.#main(command.split(' '), {
      stdin: Readable.from([stdin], { objectMode: false }),
      stdout: Object.assign(stdout, { isTTY: true, columns }),
      stderr,
      env: { ...this.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, TERM: 'xterm' },
      cwd: folder,
      clock: this.clock,
    });
    if (status !== exitCode) throw new Error(`jwtctl ${command} exited with ${status}:\n${diagnostics}`);
    if (command.startsWith('token issue')) {
      const { jti } = JSON.parse(Buffer.from(output.split('.')[1] ?? '', 'base64url').toString());
      this.#random.set(jti, 'Dgzt2YMwcCbJy_uGeoXUiw');
    }
    return output;
  }

  /** Replaces what is random, or depends on the host. */
  #alike(/** @type {string} */ output) {
    const fixed = [...this.#random].reduce((text, [from, to]) => text.replaceAll(from, to), output);
    return fixed.replace(/\bmk-[0-9a-f]{12}\b/g, 'mk-95e449e453a9');
  }

  /** Draws the screen, and clears it. */
  finish(/** @type {string} */ name, /** @type {string} */ title) {
    this.pictures.push([name, ansiToSvg(this.#screen, { title, columns: COLUMNS })]);
    this.#screen = '';
  }

  close() {
    rmSync(this.#folder, { recursive: true });
  }
}

class FixedClock {
  #now = BEGIN;
  now = () => this.#now;
  until = async (/** @type {number} */ time) => {
    this.#now = Math.max(this.#now, time);
  };
  pause = async (/** @type {number} */ milliseconds) => this.advance(milliseconds / 1000);
  advance(/** @type {number} */ seconds) {
    this.#now += Math.ceil(seconds);
  }
}
