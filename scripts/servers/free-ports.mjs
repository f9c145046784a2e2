// @ts-check
import { createServer } from 'node:net';

export const HOST = '127.0.0.1';

/**
 * Starts something on ports that are free now. Another process may take one of them before the server binds it, so a
 * failure to bind is answered with one more attempt on other ports.
 *
 * @template T
 * @param {number} count
 * @param {(...ports: number[]) => Promise<T>} start
 * @returns {Promise<T>}
 */
export async function startOnFreePorts(count, start) {
  try {
    return await start(...(await findFreePorts(count)));
  } catch (error) {
    if (!(error instanceof Error) || !/address already in use/i.test(error.message)) throw error;
    return start(...(await findFreePorts(count)));
  }
}

/**
 * Distinct ports: all of them are held until the last one is known.
 *
 * @param {number} count
 */
async function findFreePorts(count) {
  const holders = await Promise.all(Array.from({ length: count }, holdPort));
  await Promise.all(holders.map(({ release }) => release()));
  return holders.map(({ port }) => port);
}

/** @returns {Promise<{ port: number, release: () => Promise<void> }>} */
function holdPort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      resolve({ port, release: () => new Promise((released) => server.close(() => released())) });
    });
  });
}
