import { size } from '../../cli/output/number-format.js';
import { coarseDuration, relativeTime } from '../../cli/output/time.js';
import { grouped, pluralize } from '../../domain/shared/pluralize.js';
import type { Report } from '../page-data.js';
import { type Child, el, foreign } from './dom.js';
import { timeElement } from './format.js';

/** The numbers that an operator looks for first. */
export function facts({ at, inspection, status }: Report): HTMLElement {
  const { entries, subjects, bytes, complete, backend, prefix } = inspection;
  const { activeKey, nextRotation, verifiers } = status;
  const atLeast = complete ? '' : 'at least ';
  return el(
    'dl',
    { class: 'facts' },
    ...fact('Live tokens', `${atLeast}${grouped(entries)}`, `of ${pluralize(subjects, 'subject')}`),
    ...fact(
      'Registry',
      bytes === null ? 'memory unknown' : `about ${size(bytes)}`,
      prefix === '' ? backend : el('span', {}, `${backend}, under `, foreign(prefix)),
    ),
    ...fact(
      'Active key',
      activeKey === null ? '✗ none' : `${ageOf(activeKey.activatedAt, at)} old`,
      activeKey === null ? 'no token can be issued' : foreign(activeKey.kid),
    ),
    ...fact(
      'Next rotation',
      nextRotation === null
        ? '–'
        : nextRotation.at <= at
          ? 'at the next run'
          : relativeTime(nextRotation.at, at),
      nextRotation === null
        ? null
        : nextRotation.kid === null
          ? '! no key is pending'
          : timeElement(nextRotation.at),
    ),
    ...fact(
      'Verifiers',
      verifiers === null ? 'unknown' : verifiers.length === 0 ? 'none running' : grouped(verifiers.length),
      verifiers === null ? 'could not be listed' : verifiers.length === 0 ? null : 'running',
    ),
  );
}

function fact(name: string, value: string, detail: Child): HTMLElement[] {
  return [
    el(
      'div',
      {},
      el('dt', {}, name),
      el('dd', { class: 'value' }, value),
      el('dd', { class: 'muted' }, detail),
    ),
  ];
}

function ageOf(since: number | null, now: number): string {
  return since === null ? '0s' : coarseDuration(Math.max(0, now - since));
}
