import { readStatus } from '../../domain/doctor/read-status.js';
import { asSentence } from '../../domain/shared/text.js';
import type { Action, DefineCommand } from '../invocation.js';
import { EXIT } from '../output/exit-code.js';
import { metricsFile, metricsText } from '../output/views/metrics.js';
import { statusPolicy } from './shared/status-policy.js';

export const defineMetrics: DefineCommand = (command, run) => {
  command
    .option('--out <file>', 'replace this file instead of printing; every account can read it')
    .examples('jwtctl metrics', 'jwtctl metrics --out /var/lib/prometheus/node-exporter/jwtctl.prom')
    .action(run(metrics));
};

interface MetricsFlags {
  out?: string;
}

const metrics: Action<MetricsFlags, []> = async (invocation, { out }) => {
  const { globals, signal } = invocation;
  const file = out === undefined || out === '-' ? null : invocation.publicFile(out);
  // Before a long walk. Only a regular file can be replaced.
  await file?.read();
  const context = await invocation.context({ migratesEmbedded: false });
  const policy = statusPolicy(context.settings);
  // `jwtctl serve` has the metric of the delivery, so a fault there does not concern this command.
  const ports = { ...context, eventDelivery: async () => null };
  const found = await invocation.withProgress('Reading', (onProgress) =>
    readStatus(ports, policy, { signal, onProgress }),
  );
  signal.throwIfAborted();
  const { installationMetrics } = await import('../../metrics/installation-metrics.js');
  const made = await installationMetrics(context, found, policy);
  if (file !== null && !globals.dryRun) await file.replace(made.text);
  const unread = [
    ...(found.tokens?.missed ?? []).map((missed) => asSentence(`Not read: ${missed}`)),
    ...(found.fleet?.unavailableReason
      ? [`The running verifiers could not be listed: ${found.fleet.unavailableReason}`]
      : []),
  ];
  return {
    view: file === null ? metricsText(made) : metricsFile(file.path, made, globals.dryRun),
    exitCode: unread.length === 0 ? EXIT.done : EXIT.partial,
    warnings: unread,
  };
};
