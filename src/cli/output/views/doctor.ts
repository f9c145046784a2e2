import type { Check, CheckResult, Finding } from '../../../domain/doctor/check.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Text, View } from '../view.js';

type Result = 'ok' | 'warning' | 'error' | 'not_made';

export function checkList(checks: readonly Check[]): View {
  return {
    shape: 'list',
    columns: ['check', 'title'],
    empty: '',
    items: checks.map(({ name, title }) => ({ id: name, data: { check: name, title }, row: [name, title] })),
  };
}

export function doctorReport(results: readonly CheckResult[]) {
  const count = (result: Result) => results.filter((one) => resultOf(one) === result).length;
  const [errors, warnings] = [count('error'), count('warning')];
  return {
    shape: 'report',
    id: results.filter((one) => resultOf(one) === 'error').map(({ check }) => check.name),
    data: { ok: errors === 0, errors, warnings, checks: results.map(resultData) },
    sections: [
      {
        title: summary(results.length, errors, warnings),
        lines: results.flatMap(resultLines),
        ...{ columns: [], rows: [] },
      },
    ],
  } satisfies View;
}

function summary(all: number, errors: number, warnings: number): Text {
  const counts = `${pluralize(errors, 'error')}, ${pluralize(warnings, 'warning')}`;
  const [sign, tone] =
    errors > 0 ? (['✗', 'bad'] as const) : warnings > 0 ? (['!', 'warn'] as const) : (['✓', 'good'] as const);
  return { text: `${sign} ${pluralize(all, 'check')}: ${counts}`, tone };
}

function resultLines(result: CheckResult): Text[] {
  const { check, findings, notMade } = result;
  const { sign, tone } = SIGNS[resultOf(result)];
  const text = notMade === null ? check.title : `skipped. ${notMade}`;
  return [
    { text: `${sign} ${check.name}${findings.length === 0 ? `: ${text}` : ''}`, tone },
    ...findings.flatMap(({ level, message, remedy }): Text[] => [
      { text: `  ${level}: ${message}`, tone: SIGNS[level].tone },
      `  What to do: ${remedy}`,
    ]),
  ];
}

const SIGNS = {
  ok: { sign: '✓', tone: 'good' },
  warning: { sign: '!', tone: 'warn' },
  error: { sign: '✗', tone: 'bad' },
  not_made: { sign: '–', tone: 'faint' },
} as const;

function resultOf({ findings, notMade }: CheckResult): Result {
  if (notMade !== null) return 'not_made';
  if (findings.length === 0) return 'ok';
  return findings.some(({ level }) => level === 'error') ? 'error' : 'warning';
}

function resultData(result: CheckResult) {
  const { check, findings, notMade } = result;
  return {
    ...{ check: check.name, title: check.title, result: resultOf(result) },
    ...{ findings: findings.map(findingData), reason: notMade },
  };
}

function findingData({ level, message, remedy, code }: Finding) {
  return { level, message, remedy, code: code ?? null };
}
