import type { Counts } from '../../page/page-data.js';

/** Reads what the dashboard shows from the text of `/metrics`, which has the sum of all workers. */
export function countsIn(text: string): Pick<Counts, 'ready' | 'verdicts' | 'latency'> {
  const verdicts: Record<string, number> = {};
  const latency: Counts['latency'] = [];
  let ready = true;
  for (const [, name = '', label = '', value] of text.matchAll(SAMPLE)) {
    const number = Number(value);
    if (name === 'jwtctl_verifications_total') verdicts[label] = number;
    else if (name === 'jwtctl_verification_duration_seconds_bucket')
      latency.push({ leSeconds: label === '+Inf' ? null : Number(label), count: number });
    else if (name === 'jwtctl_ready') ready = number === 1;
  }
  return { ready, verdicts, latency };
}

/** A line of the Prometheus text format with at most one label. */
const SAMPLE = /^(jwtctl_\w+)(?:\{\w+="([^"]*)"\})? (\S+)$/gm;
