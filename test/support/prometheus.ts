import { spawnSync } from 'node:child_process';
import { requireProgram } from '../../scripts/programs.mjs';

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Reads the text format of Prometheus. */
export function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
      return {
        name,
        labels: Object.fromEntries(pairs.map(([, label, quoted]) => [label, JSON.parse(`"${quoted}"`)])),
        value: /^nan$/i.test(value) ? Number.NaN : Number(value.replace('Inf', 'Infinity')),
      };
    });
}

/** Returns the values of one metric by its labels, such as `state=active`. Without labels, the name is empty. */
export function valuesOf(text: string, name: string): Record<string, number> {
  const found = samplesOf(text).filter((sample) => sample.name === name);
  const nameOf = (labels: Sample['labels']) =>
    Object.entries(labels)
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
  return Object.fromEntries(found.map(({ labels, value }) => [nameOf(labels), value]));
}

/** Runs Prometheus' own checks. Returns what it says against the input; empty if nothing. */
export function promtool(args: readonly string[], input = ''): { exitCode: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(requireProgram('promtool'), args, {
    input,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return { exitCode: status, output: `${stdout}${stderr}` };
}
