import type { Action, DefineCommand } from '../invocation.js';
import { integerFlag } from './shared/flags.js';

interface ServeFlags {
  host?: string;
  port?: number;
  workers?: number;
}

export const defineServe: DefineCommand = (command, run) => {
  command
    .option('--host <address>', 'address to listen on (default: serve.host, 127.0.0.1)')
    .option(
      '--port <number>',
      'port to listen on; 0 picks a free port (default: serve.port, 8787)',
      integerFlag('--port', 0, 65_535),
    )
    .option(
      '--workers <number>',
      'number of processes that share the port (default: serve.workers, 1)',
      integerFlag('--workers', 1, 256),
    )
    .examples('jwtctl serve', 'jwtctl serve --host 0.0.0.0 --port 8080 --workers 4')
    .action(run(serve));
};

const serve: Action<ServeFlags, []> = async ({ context: open, signal, diagnostics }, flags) => {
  // A server does not end soon, and its output is a log.
  diagnostics.release();
  const context = await open();
  const { settings } = context;
  const { host, port, workers } = { ...settings.serve, ...flags };
  const [server, { stopSignal }] = await Promise.all([
    import('../../server/workers.js'),
    import('../../server/stopping.js'),
  ]);
  const stop = stopSignal(signal);
  if (workers > 1 && !server.isWorker) {
    const { drain, logLevel } = settings.serve;
    // Requests, verifications, heartbeat, and deregistration may take one store timeout each.
    const stopMs = 1000 * (drain + 4 * settings.timeout + 15);
    return {
      exitCode: await server.supervise({ workers, stopMs, logLevel }, stop),
      endsByInterruption: true,
    };
  }
  const { serve: serveHere } = await import('../../server/serve.js');
  await serveHere(context, { host, port }, stop).finally(server.leave);
  return { endsByInterruption: true };
};
