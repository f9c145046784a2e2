import type { Report } from '../page-data.js';
import { anomalies } from './anomalies.js';
import { el } from './dom.js';
import { expiry } from './expiry-chart.js';
import { facts } from './facts.js';
import { findings, incomplete } from './findings.js';
import { fleet } from './fleet.js';
import { timeElement } from './format.js';
import { keyTimeline } from './key-timeline.js';
import { tokensByKey, tokensByNode, topSubjects } from './token-tables.js';

/** What matters most comes first: whether all is well. */
export function reportView(report: Report, version: string): HTMLElement[] {
  return [
    el(
      'header',
      { class: 'top' },
      el('h1', {}, 'jwtctl'),
      el('p', { class: 'muted' }, 'as of ', timeElement(report.at)),
    ),
    el('main', {}, ...reportSections(report)),
    el(
      'footer',
      { class: 'muted' },
      el('p', {}, `Made by jwtctl ${version}. Times are local. Point at a time to see it in UTC.`),
      el(
        'p',
        {},
        'This page names subjects, which are personal data. Keep it as you keep your list of users.',
      ),
    ),
  ];
}

function reportSections(report: Report): HTMLElement[] {
  return [
    ...incomplete(report.inspection),
    findings(report.doctor),
    facts(report),
    keyTimeline(report),
    el('div', { class: 'columns' }, tokensByKey(report), tokensByNode(report)),
    expiry(report),
    el('div', { class: 'columns' }, topSubjects(report), el('div', {}, anomalies(report), fleet(report))),
  ];
}
