import { expect, test } from 'vitest';
import { spawnProgram } from '../support/spawned.js';

const CLI = new URL('../../dist/cli/main.js', import.meta.url).href;

test('a process that gives way does so with all of its threads', async () => {
  const script = `
    import { giveWay } from '${CLI}';
    import { readdirSync } from 'node:fs';
    import { getPriority } from 'node:os';
    const priorities = () => [...new Set(readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread))))];
    const before = priorities();
    giveWay();
    giveWay();
    console.log(JSON.stringify({ before, after: priorities() }));`;
  const { stdout, exitCode } = await spawnProgram(process.execPath, ['--input-type=module', '-e', script]);
  expect(exitCode).toBe(0);
  const { before, after } = JSON.parse(stdout);
  expect(before).toEqual([expect.any(Number)]);
  expect(after).toEqual([19]);
});
