import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { consoleCommands, fencedBlocks, ROOT, readDocument } from '../support/documents.js';
import { startServed } from '../support/served.js';
import { Browser, PLATFORMS, startApplication } from './application.js';

const text = readDocument('docs/applications.md');
const [, ...parts] = fencedBlocks(text, 'python');
const [settings = ''] = fencedBlocks(text, 'yaml');
const [flask] = PLATFORMS;

test('the parts in the document are the Flask example', () => {
  const example = (file: string) => readFileSync(join(ROOT, 'examples', file), 'utf8');
  expect(parts.join('\n\n')).toBe(example('flask/app.py'));
  expect(settings).toBe(example('serve.yaml'));
});

test('its commands print the shown output', async () => {
  const { home, env } = cli();
  mkdirSync(join(home, 'bin'));
  symlinkSync(join(ROOT, 'bin/jwtctl.js'), join(home, 'bin/jwtctl'));
  const options = { cwd: home, env: { ...env, PATH: `${join(home, 'bin')}:${process.env.PATH}` } };
  const run = (script: string) =>
    execFileSync('bash', ['-ec', script], { ...options, encoding: 'utf8', stdio: 'pipe' });

  const preparation = fencedBlocks(text, 'sh').find((block) => block.includes('jwtctl keys generate'));
  run(preparation ?? '');
  writeFileSync(join(home, 'serve.yaml'), settings);
  writeFileSync(join(home, 'app.py'), parts.join('\n\n'));
  const served = await startServed(env, '--config', join(home, 'serve.yaml'));
  const application = await startApplication(
    flask,
    { AUTH_URL: `http://127.0.0.1:${served.port}`, AUTH_CLIENT_SECRET: run('cat client.secret').trim() },
    home,
  );
  try {
    const steps = fencedBlocks(text, 'console').flatMap(consoleCommands);
    expect(steps.length).toBeGreaterThan(8);
    for (const { command, output } of steps) {
      const printed = run(command.replace('http://127.0.0.1:8000', application.url));
      expect(comparable(printed), command).toMatch(patternOf(output));
    }
    await served.kill();
    expect((await new Browser(application.url).logIn('alice')).status).toBe(503);
  } finally {
    await application.stop();
    await served.kill();
  }
});

function comparable(printed: string): string {
  return printed
    .replaceAll('\r', '')
    .replace(/curl\/[\d.]+/, 'curl/VERSION')
    .trim();
}

function patternOf(output: readonly string[]): RegExp {
  const [shown, ...rest] = comparable(output.join('\n')).split('\n…');
  return new RegExp(`^${shown?.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}${rest.length > 0 ? '[^]*' : ''}$`);
}
