import type { InstallationMetrics } from '../../../metrics/installation-metrics.js';
import type { View } from '../view.js';

export function metricsText({ text, metrics }: InstallationMetrics): View {
  const data = metrics.map(({ name, type, help, values }) => ({
    ...{ name, type: String(type), help },
    values: values.map(({ labels, value }) => ({
      labels: Object.fromEntries(Object.entries(labels).map(([label, text]) => [label, String(text)])),
      value: Number.isNaN(value) ? null : value,
    })),
  }));
  return { shape: 'text', text, data };
}

export function metricsFile(path: string, { metrics }: InstallationMetrics, dryRun: boolean): View {
  const series = metrics.reduce((sum, { values }) => sum + values.length, 0);
  const data = { written: path, series };
  return {
    shape: 'record',
    data: dryRun ? { ...data, dryRun } : data,
    id: path,
    fields: [
      [dryRun ? 'would write' : 'written', path],
      ['series', String(series)],
    ],
  };
}
