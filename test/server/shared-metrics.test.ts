import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Answers, type Counted } from '../../src/server/shared-metrics.js';

/** A worker's answer with a counter and a gauge of 1. */
async function metricsAfter(requests: number): Promise<Counted> {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: 'requests_total', help: 'x', labelNames: ['code'], registers }).inc(
    { code: 'active' },
    requests,
  );
  new Histogram({ name: 'seconds', help: 'x', buckets: [1], registers }).observe(0.5);
  new Gauge({ name: 'held', help: 'x', aggregator: 'sum', registers }).set(1);
  return (await registry.getMetricsAsJSON()) as Counted;
}

async function numbers(answers: Answers<object>): Promise<Record<string, number>> {
  const text = await AggregatorRegistry.aggregate(answers.all()).metrics();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]));
}

test("a worker's counters stay after it is silent or ends, and its gauges end with it", async () => {
  const answers = new Answers<object>();
  const [first, second, third] = [{}, {}, {}];
  answers.take(first, await metricsAfter(5));
  answers.take(second, await metricsAfter(7));
  expect(await numbers(answers)).toMatchObject({
    'requests_total{code="active"}': 12,
    seconds_count: 2,
    held: 2,
  });

  answers.take(second, await metricsAfter(8));
  expect(await numbers(answers)).toMatchObject({
    'requests_total{code="active"}': 13,
    seconds_count: 2,
    held: 2,
  });

  answers.end(first);
  // The answer arrives after the worker's exit.
  answers.take(first, await metricsAfter(6));
  answers.take(third, await metricsAfter(1));
  answers.end(third);
  const after = await numbers(answers);
  expect(after).toMatchObject({ 'requests_total{code="active"}': 14, seconds_count: 3, held: 1 });
  expect(after['seconds_bucket{le="1"}']).toBe(3);

  answers.end(second);
  answers.end({});
  const left = await numbers(answers);
  expect(left).toMatchObject({ 'requests_total{code="active"}': 14, seconds_count: 3 });
  expect(left).not.toHaveProperty('held');
});
