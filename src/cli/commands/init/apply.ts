import type { Edits } from '../../../config/edit-config.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';
import type { Outcome } from '../../output/view.js';
import { initNotes, initReport, shownChanges } from '../../output/views/init.js';
import { applyMigrations } from '../shared/apply-migrations.js';
import type { Answers } from './questions.js';
import type { Target } from './target.js';

export async function apply(
  invocation: Invocation,
  target: Target,
  { edits, origins }: Answers,
): Promise<Outcome> {
  const { file, text: before, profile } = target;
  const { text, changes } = await target.edit(edits);
  const context = await target.open(edits, origins);
  const { dryRun, canAsk } = invocation.globals;
  const { missingStore } = await import('../../../config/edit-config.js');
  const store = missingStore(context.settings);
  const isShown = canAsk && !dryRun && changes.length > 0;
  const done = { file: file.path, profile, changes, dryRun, store, isShown };
  if (dryRun) {
    const report = {
      ...done,
      keyring: await context.missingKeyring(),
      migrations: store === null ? await pendingMigrations(context) : [],
    };
    return { view: initReport(report), notes: initNotes(report) };
  }
  if (changes.length > 0) {
    if (isShown) await invocation.present(shownChanges(done));
    if (before !== null) await invocation.confirm(`Replace ${file.path}?`);
    else if (canAsk) await invocation.proceed(`Write ${file.path}?`);
  }
  const keyring = await context.createKeyring();
  if (changes.length > 0) await file.replace(text);
  const report = { ...done, keyring, migrations: [] as string[] };
  try {
    if (context.settings.mysql.url === null) await context.database('create');
    else report.migrations = await applyMigrations(context);
    const next = changes.length === 0 ? [] : await nextSteps(invocation, target, edits);
    return { view: initReport(report), notes: [...initNotes(report), ...next] };
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    return { view: initReport(report), notes: initNotes({ ...report, store: null }), error };
  }
}

type Opened = Awaited<ReturnType<Target['open']>>;

async function pendingMigrations(context: Opened): Promise<string[]> {
  try {
    return await (await context.schema()).plan();
  } catch (error) {
    if (error instanceof JwtctlError && error.kind === 'unavailable') return [];
    throw error;
  }
}

async function nextSteps({ configSources }: Invocation, { file }: Target, edits: Edits): Promise<string[]> {
  const { variablesFor } = await import('../../../config/edit-config.js');
  const overriding = variablesFor(configSources, edits);
  return [
    ...(overriding.length === 0
      ? []
      : [`In this shell, these variables override ${file.path}: ${overriding.join(', ')}.`]),
    'Next: run `jwtctl keys generate`.',
  ];
}
