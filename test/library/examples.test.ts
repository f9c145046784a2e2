import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import * as express from '../../src/express.js';
import * as fastify from '../../src/fastify.js';
import * as library from '../../src/index.js';
import { type Cli, cli } from '../support/cli.js';
import { fencedBlocks, ROOT, readDocument } from '../support/documents.js';
import { spawnProgram } from '../support/spawned.js';

const examples = ['README.md', 'docs/getting-started.md', 'docs/library.md'].flatMap((document) =>
  fencedBlocks(readDocument(document), 'js').map((source, index) => ({
    document,
    number: index + 1,
    source,
  })),
);

/** Appended to an example that starts a server: sends requests with and without a token, then stops the server. */
const PROBE = `
import { once } from 'node:events';
if (!server.listening) await once(server, 'listening');
for (const headers of [{}, { authorization: 'Bearer ' + process.argv[2] }]) {
  const answer = await fetch('http://127.0.0.1:' + server.address().port + '/me', { headers });
  console.log('status ' + answer.status);
}
process.kill(process.pid, 'SIGTERM');
`;

let service: Cli;
let token: string;

beforeAll(async () => {
  service = cli();
  await service.json('keys', 'generate');
  await service.json('users', 'add', 'alice');
  ({ token } = await service.json('token', 'issue', '--sub', 'alice'));
  writeFileSync(join(service.home, 'jwks.json'), (await service.run('keys', 'export', '--jwks')).stdout);
  const modules = join(service.home, 'node_modules');
  mkdirSync(modules);
  symlinkSync(ROOT, join(modules, 'jwtctl'));
  for (const name of ['express', 'fastify'])
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
});

test.each(Object.keys({ ...library, ...express, ...fastify }))('%s has an example', (name) => {
  const used = examples.map(({ source }) => source.replaceAll(/^import .*/gm, '')).join('');
  expect(used).toMatch(new RegExp(`\\b${name}\\b`));
});

test.each(examples)('example $number of $document runs', async ({ source }) => {
  const listens = source.includes('3000');
  const file = join(service.home, 'example.mjs');
  writeFileSync(file, listens ? source.replace('3000', '0') + PROBE : source);
  const { home: cwd, env } = service;
  const { exitCode, stdout, stderr } = await spawnProgram(process.execPath, [file, token], { cwd, env });
  expect(exitCode, stderr).toBe(0);
  if (listens) expect(stdout.match(/(?<=status )\d+/g)).toEqual(['401', '200']);
});
