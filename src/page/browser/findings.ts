import { pluralize } from '../../domain/shared/pluralize.js';
import { asSentence } from '../../domain/shared/text.js';
import type { CheckReport, Report } from '../page-data.js';
import { el, section } from './dom.js';

/** Says at the top that the numbers below are too low. */
export function incomplete({ complete, missed = [] }: Report['inspection']): HTMLElement[] {
  if (complete) return [];
  return [
    el(
      'div',
      { class: 'card bad', role: 'alert', id: 'incomplete' },
      el('h2', {}, '✗ Incomplete'),
      el('p', {}, 'Parts of the registry could not be read. The true numbers are higher.'),
      el('ul', {}, ...missed.map((one) => el('li', {}, asSentence(`Not read: ${one}`)))),
    ),
  ];
}

export function findings({ checks }: Report['doctor']): HTMLElement {
  const levels = checks.flatMap(({ findings }) => findings.map(({ level }) => level));
  const errors = levels.filter((level) => level === 'error').length;
  const warnings = levels.length - errors;
  const found = checks.filter(({ findings }) => findings.length > 0);
  const others = checks.filter(({ findings }) => findings.length === 0);
  const counts = [
    ...(errors === 0 ? [] : [pluralize(errors, 'error')]),
    ...(warnings === 0 ? [] : [pluralize(warnings, 'warning')]),
  ];
  const [sign, tone] =
    errors > 0 ? (['✗', 'bad'] as const) : warnings > 0 ? (['!', 'warn'] as const) : (['✓', 'good'] as const);
  const title = counts.length === 0 ? `${sign} All is well` : `${sign} ${counts.join(', ')}`;
  const card = section(
    'findings',
    title,
    found.length === 0 ? null : el('ul', { class: 'findings' }, ...found.flatMap(findingItems)),
    el(
      'details',
      {},
      el('summary', {}, `${others.length} of ${pluralize(checks.length, 'check')} without a finding`),
      el('ul', { class: 'checks' }, ...others.map(checkItem)),
    ),
  );
  card.classList.add(tone);
  return card;
}

/** Errors first. */
function findingItems({ check, findings }: CheckReport): HTMLElement[] {
  return [...findings]
    .sort((a, b) => Number(b.level === 'error') - Number(a.level === 'error'))
    .map(({ level, message, remedy }) =>
      el(
        'li',
        {},
        el('p', {}, tag(level), ' ', message, ' ', el('span', { class: 'muted' }, `(${check})`)),
        el('p', { class: 'muted' }, `What to do: ${remedy}`),
      ),
    );
}

function tag(level: 'warning' | 'error'): HTMLElement {
  return el(
    'strong',
    { class: level === 'error' ? 'bad-text' : 'warn-text' },
    level === 'error' ? '✗ Error:' : '! Warning:',
  );
}

function checkItem({ check, title, reason }: CheckReport): HTMLElement {
  const name = el('strong', {}, check);
  return reason === null
    ? el('li', {}, '✓ ', name, `: ${title}`)
    : el('li', { class: 'muted' }, '– ', name, `: skipped. ${reason}`);
}
