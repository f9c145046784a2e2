import { CHECKS, type CheckName } from '../../../../domain/model/refusal-codes.js';
import { isoTime, relativeTime } from '../../time.js';
import type { Text } from '../../view.js';

/** What one check found, and the fact behind it. */
export interface CheckLine {
  verdict: 'passed' | 'refused' | 'not_checked';
  fact: string | null;
}

/** One line for each check, with a sign and a word, because color is never alone. */
export function checkFields(lines: Record<CheckName, CheckLine>): Array<readonly [string, Text]> {
  return CHECKS.map((name) => [name, checkCell(lines[name])]);
}

function checkCell({ verdict, fact }: CheckLine): Text {
  const { sign, tone } = SIGNS[verdict];
  return { text: `${sign} ${verdictWord(verdict)}${fact === null ? '' : `: ${fact}`}`, tone };
}

export function checkText(name: CheckName, verdict: CheckLine['verdict']): Text {
  const { sign, tone } = SIGNS[verdict];
  return { text: `${name} ${sign} ${verdictWord(verdict)}`, tone };
}

function verdictWord(verdict: CheckLine['verdict']): string {
  return verdict.replace('_', ' ');
}

const SIGNS = {
  passed: { sign: '✓', tone: 'good' },
  refused: { sign: '✗', tone: 'bad' },
  not_checked: { sign: '–', tone: 'faint' },
} as const;

/** `in 59m (2026-11-30T03:48:17Z)` */
export function timeText(time: number, now: number): string {
  return `${relativeTime(time, now)} (${isoTime(time)})`;
}
