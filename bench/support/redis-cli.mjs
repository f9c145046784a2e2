// @ts-check
import { requireProgram } from '../../scripts/programs.mjs';
import { runProgram } from './programs.mjs';

/**
 * Runs a pipe of redis-cli at each master, all at the same time.
 *
 * @param {import('./cluster.mjs').Cluster} cluster
 * @param {string} script for sh; `$CLI` runs redis-cli at this master
 * @param {'collect' | 'ignore'} stdout
 * @returns {Promise<{ seconds: number, stdout: string[] }>} from the first start to the last end; what each has printed
 */
export async function atEachMaster({ masters }, script, stdout) {
  const program = requireProgram('redis-cli');
  const startedAt = performance.now();
  const runs = await Promise.all(
    masters.map(({ host, port }) =>
      runProgram('/bin/sh', ['-c', script], {
        env: { PATH: process.env.PATH, CLI: `${program} -h ${host} -p ${port}` },
        stdout,
      }),
    ),
  );
  return { seconds: (performance.now() - startedAt) / 1000, stdout: runs.map((run) => run.stdout) };
}
