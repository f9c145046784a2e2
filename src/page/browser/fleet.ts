import { coarseDuration } from '../../cli/output/time.js';
import type { RunningVerifier } from '../page-data.js';
import { el, foreign, table } from './dom.js';

export function verifierTable(verifiers: readonly RunningVerifier[] | null, now: number): HTMLElement {
  if (verifiers === null)
    return el('p', { class: 'bad-text' }, '✗ The running verifiers could not be listed.');
  if (verifiers.length === 0) return el('p', { class: 'muted' }, 'None.');
  return table(
    ['Host', 'Process', 'Version', 'Running for'],
    verifiers.map(({ host, pid, version, startedAt }) => [
      foreign(host),
      String(pid),
      version === null ? 'older' : foreign(version),
      coarseDuration(Math.max(0, now - startedAt)),
    ]),
  );
}
