import { isoTime } from './time.js';

export interface DateLabel {
  /** Its place on the axis, from 0 to 1. */
  at: number;
  text: string;
}

/** Returns labels at round times in UTC, as many as fit next to each other in `width` characters. */
export function dateLabels({ from, to }: { from: number; to: number }, width: number): DateLabel[] {
  const room = ((to - from) / width) * (TICK.length + LABEL_WIDTH + GAP);
  const step = STEPS.find(({ seconds }) => seconds >= room);
  if (step === undefined) return [];
  return roundTimes(from, to, step).map((time) => ({
    at: (time - from) / (to - from),
    text:
      TICK + (step.seconds < DAY ? isoTime(time).slice(5, 16).replace('T', ' ') : isoTime(time).slice(0, 10)),
  }));
}

const TICK = '╷';
/** `12-31 18:00`; a date has one character less. */
const LABEL_WIDTH = 11;
const GAP = 2;
const DAY = 86_400;
/** Weeks begin on the first Monday after the epoch. */
const MONDAY = 4 * DAY;

interface Step {
  /** At least; the months have different lengths. */
  seconds: number;
  months?: number;
}

const STEPS: Step[] = [
  ...[1, 5, 15, 30, 60, 180, 360, 720].map((minutes) => ({ seconds: minutes * 60 })),
  ...[1, 7, 14].map((days) => ({ seconds: days * DAY })),
  ...[1, 2, 3, 6, 12, 24, 60, 120].map((months) => ({ seconds: months * 28 * DAY, months })),
];

function roundTimes(from: number, to: number, { seconds, months }: Step): number[] {
  const begin = new Date(from * 1000);
  const elapsedMonths = (begin.getUTCFullYear() - 1970) * 12 + begin.getUTCMonth();
  const nth = (place: number) =>
    months === undefined
      ? (Math.ceil((from - MONDAY) / seconds) + place) * seconds + MONDAY
      : Date.UTC(1970, (Math.floor(elapsedMonths / months) + place) * months) / 1000;
  const times: number[] = [];
  for (let place = 0; nth(place) <= to; place += 1) if (nth(place) >= from) times.push(nth(place));
  return times;
}
