import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Runs a TypeScript program in many processes that start together, for effects that one process cannot show: libsql
 * blocks the whole process while it waits for a lock.
 *
 * @param source an ES module. It imports from the project's root (`./src/…`); its argument is `process.argv[2]`
 * @returns standard output of each process; rejects with standard error if one fails
 */
export async function runAtOnce(count: number, source: string, argument: string): Promise<string[]> {
  // Inside the project, so that packages are found.
  const program = join(root, 'node_modules/.cache/jwtctl-test', `${process.pid}-${Date.now()}.mjs`);
  await mkdir(dirname(program), { recursive: true });
  await build({
    stdin: { contents: source, resolveDir: root, loader: 'ts' },
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile: program,
    logLevel: 'silent',
  });
  try {
    return await Promise.all(Array.from({ length: count }, () => outputOf(program, argument)));
  } finally {
    await rm(program);
  }
}

function outputOf(program: string, argument: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, argument], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('error', reject);
    child.once('close', (status) =>
      status === 0 ? resolve(stdout) : reject(new Error(`ended with status ${status}: ${stderr}`)),
    );
  });
}
