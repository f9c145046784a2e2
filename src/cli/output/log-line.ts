import { printable } from '../../domain/shared/text.js';
import { colorOf, painter } from './tones.js';
import type { Tone } from './view.js';

type LogRecord = Readonly<Record<string, unknown>>;

/**
 * Returns a function that turns a JSON line of the server's log into text for a terminal: the time (UTC), the level,
 * what happened, and the other fields. The stack of a defect follows on lines of its own.
 *
 * @param hasPid whether several processes write to the terminal
 */
export function logLines({ color, hasPid }: { color: boolean; hasPid: boolean }): (json: string) => string {
  const paint = painter(color);
  const toned = (tone: Tone | null, text: string) => (tone === null ? text : colorOf(tone, paint)(text));
  return (json) => {
    const record: LogRecord = JSON.parse(json);
    const level = textOf(record.level);
    const words = [
      toned('faint', textOf(record.time).slice(11)),
      toned(LEVEL_TONES[level] ?? null, level.padEnd(5)),
      ...(hasPid ? [toned('faint', `[${textOf(record.pid)}]`)] : []),
      ...(record.status === undefined ? [] : requestWords(record, toned)),
      textOf(record.msg),
      ...otherFields(record).map((field) => toned('faint', field)),
    ];
    const frames = Array.isArray(record.at) ? record.at.map((frame) => `    ${textOf(frame)}`) : [];
    return `${[words.filter((word) => word !== '').join(' '), ...frames].join('\n')}\n`;
  };
}

const LEVEL_TONES: Readonly<Record<string, Tone>> = { debug: 'faint', warn: 'warn', error: 'bad' };

function requestWords(
  { method, route, status, code, durationMs }: LogRecord,
  toned: (tone: Tone, text: string) => string,
): string[] {
  // Node.js refuses a request that it cannot read before it has a method.
  const target = method === undefined ? [] : [textOf(method), route === null ? '(no route)' : textOf(route)];
  const duration = typeof durationMs === 'number' ? [`${milliseconds(durationMs)} ms`] : [];
  return [...target, toned(toneOf(Number(status)), textOf(status)), ...duration, textOf(code)];
}

function toneOf(status: number): Tone {
  if (status >= 500) return 'bad';
  return status >= 400 ? 'warn' : 'good';
}

function milliseconds(duration: number): string {
  return duration < 10 ? duration.toFixed(1) : String(Math.round(duration));
}

/** Shown elsewhere in the line, or, as the IDs of requests, only of use to programs. */
const PLACED = new Set(['level', 'time', 'pid', 'msg', 'at', 'requestId', 'since']);
const OF_REQUEST = new Set(['method', 'route', 'status', 'code', 'durationMs']);

function otherFields(record: LogRecord): string[] {
  return Object.entries(record)
    .filter(([name, value]) => !PLACED.has(name) && value !== null && value !== undefined)
    .filter(([name]) => record.status === undefined || !OF_REQUEST.has(name))
    .map(([name, value]) => `${textOf(name)}=${textOf(value)}`);
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
}
