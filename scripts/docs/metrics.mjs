// @ts-check
import { cell, code, GENERATED, table } from './markdown.mjs';

/** Every metric as `src/metrics/declarations.ts` declares it. */
export async function metricsDocument(/** @type {(source: string) => Promise<any>} */ load) {
  /** @type {{ METRICS: Record<string, { type: string, help: string, labels?: string[], workers?: string, from: string[] }> }} */
  const { METRICS } = await load('src/metrics/declarations.ts');
  const tableOf = (/** @type {string[]} */ ...from) =>
    table(
      ['metric', 'type', 'labels', 'meaning'],
      Object.entries(METRICS)
        .filter(([, metric]) => metric.from.join() === from.join())
        .map(([name, { type, labels = [], help }]) => [
          code(name),
          type,
          labels.map(code).join(', '),
          cell(help),
        ]),
    );
  return `# Metrics

${GENERATED}

Metrics for Prometheus come from two places: \`/metrics\` of [\`jwtctl serve\`](server.md#metrics), and the command
[\`jwtctl metrics\`](operations.md#metrics-from-cron), which reads the stores. [Monitor](operations.md#monitor) lists the alerts.

Times are Unix times in seconds. No label contains a subject, a token, or its ID. The number of series depends on the number of keys,
servers, and error codes, not on the number of tokens or users.

## From both

${tableOf('serve', 'metrics')}

## From jwtctl serve

Any worker responds for all workers. Counters and numbers of entries are sums, and other gauges show the worst value of any
worker. Counters start at 0 when the server starts. The default metrics of a Node.js process (\`process_…\`, \`nodejs_…\`) are included.

${tableOf('serve')}

## From jwtctl metrics

${tableOf('metrics')}
`;
}
