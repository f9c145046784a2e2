// @ts-check
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startProgram } from './programs.mjs';

const client = fileURLToPath(new URL('ping-client.mjs', import.meta.url));

/**
 * Starts ping-client.mjs.
 *
 * @param {readonly string[]} addresses `host:port`
 */
export async function openPings(addresses) {
  const child = startProgram(process.execPath, [client, ...addresses], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('The ping client does not start.');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('The ping client has ended.');
    return value;
  };
  await line();

  return {
    /**
     * How long the servers took to answer while `work` was under way.
     *
     * @param {() => Promise<unknown>} work
     * @returns {Promise<import('./ping-client.mjs').Pauses>}
     */
    async during(work) {
      stdin.write('begin\n');
      await work();
      stdin.write('end\n');
      return JSON.parse(await line());
    },
    close: () => stdin.end(),
  };
}
