import type { Listening } from '../../server/serve.js';
import type { LogStyle } from '../globals.js';
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

const serve: Action<ServeFlags, []> = async (invocation, flags) => {
  const { context: open, configSources, signal, diagnostics, globals, logStyle } = invocation;
  // A server does not end soon, and its output is a log.
  diagnostics.release();
  const context = await open();
  const { settings } = context;
  const { host, port, workers, logLevel } = { ...settings.serve, ...flags };
  const [server, { stopSignal }] = await Promise.all([
    import('../../server/workers.js'),
    import('../../server/stopping.js'),
  ]);
  const formatLine = await lineFormat(logStyle, { hasPid: workers > 1 });
  // Ends the line on which the terminal shows `^C`.
  if (formatLine !== undefined && !server.isWorker)
    signal.addEventListener('abort', () => diagnostics.write(''));
  const stop = stopSignal(signal);
  if (workers > 1 && !server.isWorker) {
    const { drain } = settings.serve;
    // Requests, verifications, heartbeat, and deregistration may take one store timeout each.
    const stopMs = 1000 * (drain + 4 * settings.timeout + 15);
    return {
      exitCode: await server.supervise({ workers, stopMs, logLevel, formatLine }, stop),
      endsByInterruption: true,
    };
  }
  const { serve: serveHere } = await import('../../server/serve.js');
  const isGreeting = formatLine !== undefined && server.isFirst && !globals.isQuiet;
  const greet = async (listening: Listening) => {
    const { greetingViews } = await import('../output/views/serve.js');
    for (const view of greetingViews({ ...listening, logLevel })) await invocation.present(view);
  };
  const output = { formatLine, greet: isGreeting ? greet : undefined };
  const readReport = async () => {
    const { readReport: read } = await import('./shared/read-report.js');
    // Every minute, a server should neither open private keys nor look up each subject.
    const leaveOut = ['private-keys', 'entries'];
    return read(context, { configSources, signal: stop }, { top: 10, leaveOut });
  };
  await serveHere(context, { host, port }, stop, readReport, output).finally(server.leave);
  return { endsByInterruption: true };
};

async function lineFormat(style: LogStyle, { hasPid }: { hasPid: boolean }) {
  if (style === 'json') return undefined;
  const { logLines } = await import('../output/log-line.js');
  return logLines({ color: style === 'color', hasPid });
}
