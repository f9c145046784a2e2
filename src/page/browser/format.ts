import { isoTime, relativeTime } from '../../cli/output/time.js';
import { el } from './dom.js';

const DATE_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });

export function localTime(time: number): string {
  return DATE_AND_TIME.format(time * 1000);
}

export function timeOfDay(time: number): string {
  return TIME.format(time * 1000);
}

/** The local time, with UTC on hover. */
export function timeElement(time: number, text = localTime(time)): HTMLElement {
  return el('time', { datetime: isoTime(time), title: isoTime(time) }, text);
}

/** `in 3d (Dec 4, 2026, 9:00 AM)` */
export function relativeTimeElement(time: number, now: number): HTMLElement {
  return timeElement(time, `${relativeTime(time, now)} (${localTime(time)})`);
}
