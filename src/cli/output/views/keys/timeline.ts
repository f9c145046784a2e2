import {
  type KeyPhase,
  type KeyTimeline,
  type KeyTimes,
  phasesOf,
  type TimeAxis,
  timeAxis,
} from '../../../../domain/keys/timeline.js';
import { pluralize } from '../../../../domain/shared/pluralize.js';
import { plainColumn } from '../../columns.js';
import { isoTime, relativeTime } from '../../time.js';
import type { Cell, Column, JsonObject, ListItem, ListView, Section, Spans, Tone } from '../../view.js';
import { NO_KEYS, stateCell } from './signing-key.js';

/** Lists when each key signs and verifies. On a terminal, draws it. */
export function timelineList(
  timeline: KeyTimeline,
  now: number,
  { isWide, empty = NO_KEYS }: { isWide: boolean; empty?: string | undefined },
): ListView {
  const list: ListView = {
    shape: 'list',
    items: timeline.keys.map(timesItem),
    columns: [
      { name: 'kid', mayShorten: true },
      'state',
      plainColumn('published', 1),
      plainColumn('signs from', 2),
      plainColumn('signs until', 4),
      plainColumn('verifies until', 3),
    ],
    empty,
  };
  return timeline.keys.length === 0 ? list : { ...list, picture: [picture(timeline, now, isWide)] };
}

function timesItem(times: KeyTimes): ListItem {
  const { kid, publishedAt, signsFrom, signsUntil, verifiesUntil } = times;
  return {
    data: timesData(times),
    id: kid,
    row: [
      ...[kid, stateCell(times), isoTime(publishedAt)],
      ...[signsFrom, signsUntil].map((time) => (time === null ? '-' : isoTime(time))),
      verifiesUntil === null ? 'no end' : isoTime(verifiesUntil),
    ],
  };
}

function timesData({ kid, state, verifyOnly, ...times }: KeyTimes): JsonObject {
  const { publishedAt, signsFrom, signsUntil, verifiesUntil } = times;
  return { kid, state, verifyOnly, publishedAt, signsFrom, signsUntil, verifiesUntil };
}

const PHASES: Record<KeyPhase['kind'], { character: string; tone: Tone }> = {
  published: { character: '·', tone: 'warn' },
  signs: { character: '█', tone: 'good' },
  verifies: { character: '▒', tone: 'faint' },
};
const COMPROMISED = { text: '✗', tone: 'bad' } as const;

function picture(timeline: KeyTimeline, now: number, isWide: boolean): Section {
  const axis = timeAxis(timeline, now, { isWhole: isWide });
  const { nextRotation } = timeline;
  const place = placeOn(axis);
  const pointers = [
    { at: place(now), text: 'now' },
    ...(nextRotation === null ? [] : [{ at: place(nextRotation), text: 'next rotation' }]),
  ];
  const rows = axis.shown.map((times) => ({ times, line: spansOf(times, axis, now) }));
  const hidden = timeline.keys.length - rows.length;
  return {
    title: `Keys at ${isoTime(now)}; ${rotationText(nextRotation, now)}`,
    lines: [
      legendOf(rows.map(({ line }) => line)),
      ...(hidden === 0
        ? []
        : [`Not shown: ${pluralize(hidden, 'key')} that ended earlier. Use -o wide to show every key.`]),
    ],
    columns: [KID_COLUMN, plainColumn('state', 1), ''],
    rows: [
      ['', '', { dates: axis }],
      ...rows.map(({ times, line }): Cell[] => [times.kid, stateCell(times), line]),
      ...pointers.map((pointer): Cell[] => ['', '', { pointer }]),
    ],
  };
}

/** Leaves the width to the picture. */
const KID_COLUMN: Column = { name: 'kid', mayShorten: true, most: 17 };

function rotationText(time: number | null, now: number): string {
  if (time === null) return 'no key is active';
  return time <= now
    ? 'the next run of `jwtctl keys rotate` rotates'
    : `next rotation ${relativeTime(time, now)}, ${isoTime(time)}`;
}

function legendOf(lines: readonly Spans[]): string {
  const spans = lines.flatMap((line) => line.spans);
  return [
    ...Object.entries(PHASES).map(([kind, { character }]) => `${character} ${kind}`),
    ...(lines.some(({ end }) => end !== undefined) ? [`${COMPROMISED.text} compromised`] : []),
    ...(spans.some(({ until }) => until === null) ? ['→ no end, or later'] : []),
  ].join('   ');
}

function spansOf(times: KeyTimes, axis: TimeAxis, now: number): Spans {
  const place = placeOn(axis);
  const isCompromised = times.state === 'compromised';
  return {
    spans: phasesOf(times).map(({ kind, from, until }) => {
      const { character, tone } = PHASES[kind];
      return {
        from: place(from),
        until: until === null || until > axis.to ? null : place(until),
        ...{ character, tone: isCompromised ? 'bad' : tone },
      };
    }),
    now: place(now),
    end: isCompromised ? COMPROMISED : undefined,
  };
}

function placeOn({ from, to }: TimeAxis): (time: number) => number {
  return (time) => (time - from) / (to - from);
}
