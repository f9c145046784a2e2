// @ts-check
/**
 * `jwtctl serve` that registers nothing: the same handlers and the same queries to MySQL, but the entries and sessions that
 * they would write to Redis count as written. Reads the settings from the environment, and takes the number of workers
 * as its argument.
 */
import { openContext } from '../../src/app/open-context.js';
import { serve } from '../../src/server/serve.js';
import { isWorker, leave, supervise } from '../../src/server/workers.js';

const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

if (isWorker) {
  const context = await openContext({});
  const registry = await context.registry();
  registry.registerMany = async (registrations) => registrations.map(() => 'added');
  registry.advanceFamilies = async (steps) => steps.map(() => ({ state: 'advanced' }));
  registry.startGrace = async () => {};
  const noReport = () => Promise.reject(new Error('This server has no dashboard.'));
  await serve(context, { host: '127.0.0.1', port: 0 }, stop.signal, noReport).finally(leave);
} else {
  await supervise({ workers: Number(process.argv[2]), stopMs: 10_000, logLevel: 'info' }, stop.signal);
}
