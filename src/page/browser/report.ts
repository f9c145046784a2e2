import type { Report } from '../page-data.js';
import { anomalies } from './anomalies.js';
import { type Child, el, section } from './dom.js';
import { expiry } from './expiry-chart.js';
import { facts } from './facts.js';
import { findings, incomplete } from './findings.js';
import { verifierTable } from './fleet.js';
import { timeElement } from './format.js';
import { keyTimeline } from './key-timeline.js';
import { tokensByKey, tokensByNode, topSubjects } from './token-tables.js';

export function reportView(report: Report, version: string): HTMLElement[] {
  const { at, status } = report;
  return pageFrame(version, el('p', { class: 'muted' }, 'as of ', timeElement(at)), [
    ...reportHeadline(report),
    ...reportDetails(report),
    section('fleet', 'Running verifiers', verifierTable(status.verifiers, at)),
  ]);
}

export function pageFrame(version: string, state: HTMLElement, content: readonly Child[]): HTMLElement[] {
  return [
    el('header', { class: 'top' }, el('h1', {}, 'jwtctl'), state),
    el('main', {}, ...content),
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

/** Whether all is well. */
export function reportHeadline(report: Report): HTMLElement[] {
  return [...incomplete(report.inspection), findings(report.doctor), facts(report)];
}

export function reportDetails(report: Report): HTMLElement[] {
  return [
    keyTimeline(report),
    el('div', { class: 'columns' }, tokensByKey(report), tokensByNode(report)),
    expiry(report),
    el('div', { class: 'columns' }, topSubjects(report), anomalies(report)),
  ];
}
