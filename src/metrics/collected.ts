import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS, type MetricDeclaration, type MetricName } from './declarations.js';

/** A number, or one for each set of labels. Null if it is not known: then the metric has no value. */
export type MetricValues =
  | number
  | ReadonlyArray<readonly [labels: Record<string, string>, value: number]>
  | null;

/** Adds a metric whose values are read for each scrape. */
export function collected(registry: Registry, name: MetricName, read: () => MetricValues): void {
  const { type } = METRICS[name];
  if (type === 'counter') {
    new Counter({
      ...optionsOf(registry, name),
      collect() {
        apply(this, read(), (labels, value) => this.inc(labels, value));
      },
    });
  } else {
    new Gauge({
      ...optionsOf(registry, name),
      collect() {
        apply(this, read(), (labels, value) => this.set(labels, value));
      },
    });
  }
}

/** The declared options of prom-client. */
export function optionsOf(registry: Registry, name: MetricName) {
  const { help, labels = [], workers = 'sum' }: MetricDeclaration = METRICS[name];
  return { name, help, labelNames: [...labels], aggregator: workers, registers: [registry] };
}

function apply(
  metric: { reset(): void; remove(): void },
  values: MetricValues,
  add: (labels: Record<string, string>, value: number) => void,
): void {
  metric.reset();
  if (values === null) metric.remove();
  else if (typeof values === 'number') add({}, values);
  else for (const [labels, value] of values) add(labels, value);
}
