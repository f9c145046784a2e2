import { CHECKS, type CheckName } from '../../../../domain/model/refusal-codes.js';
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
  const word = verdict.replace('_', ' ');
  return { text: `${sign} ${word}${fact === null ? '' : `: ${fact}`}`, tone };
}

const SIGNS = {
  passed: { sign: '✓', tone: 'good' },
  refused: { sign: '✗', tone: 'bad' },
  not_checked: { sign: '–', tone: 'faint' },
} as const;
