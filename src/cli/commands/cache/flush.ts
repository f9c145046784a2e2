import { requireKey } from '../../../domain/keys/find-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import type { Database } from '../../../domain/ports/index.js';
import { countFlush, type FlushInput, type FlushReport, flush } from '../../../domain/registry/flush.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { isoTime } from '../../output/time.js';
import type { Outcome } from '../../output/view.js';
import { flushReport } from '../../output/views/cache/flush.js';
import { pastMomentFlag } from '../shared/flags.js';
import { newBackup } from './new-backup.js';

export const defineFlush: DefineCommand = (group, run) => {
  group
    .command('flush')
    .description(
      'Remove entries from the registry.\n\nTheir tokens are refused until the entries are restored. To end tokens permanently, revoke them instead. --sub, --kid, and --issued-before can be combined.',
    )
    .option('--all', 'all entries under the prefix')
    .option('--sub <sub>', 'entries of this subject')
    .option('--kid <kid>', 'entries of this key', parseKid)
    .option(
      '--issued-before <time>',
      'entries issued at this time or earlier (NumericDate, ISO 8601, now, or how long ago: 2h)',
      pastMomentFlag('--issued-before'),
    )
    .option('--backup <file>', 'first write the entries to this new, encrypted file for `cache restore`')
    .examples(
      'jwtctl cache flush --all --dry-run',
      'jwtctl cache flush --kid 2026-q1 --issued-before 2026-01-31 --backup flushed',
    )
    .action(run(flushEntries));
};

interface FlushFlags {
  all?: true;
  sub?: string;
  kid?: string;
  issuedBefore?: number;
  backup?: string;
}

const flushEntries: Action<FlushFlags, []> = async (invocation, flags) => {
  const { globals, signal, withProgress } = invocation;
  assertSelection(flags);
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  const file = flags.backup === undefined ? undefined : newBackup(invocation, flags.backup);
  const context = await invocation.context();
  const ports = await context.administration();
  await file?.assertFree();
  const input: FlushInput = {
    sub,
    filter: await filterOf(ports.database, flags),
    target: targetOf(flags, ports.registry.prefix),
    signal,
  };
  const count = () => withProgress('Counting', (onProgress) => countFlush(ports, { ...input, onProgress }));
  // Fails early if the key service is unavailable, before the scan and the question.
  if (file !== undefined) await (await context.sealer()).assertSeals();
  if (globals.dryRun) return outcomeOf(await count(), true);

  let question = `Remove ${selectionText(flags, ports.registry.prefix)}?`;
  // Without a question, the removal itself counts the entries.
  if (globals.canAsk && !globals.yes) {
    const found = await count();
    if (found.matched === 0) return outcomeOf(found, false);
    await invocation.present(flushReport(found, true));
    question = `Remove ${pluralize(found.matched, 'entry', 'entries')} of ${pluralize(found.subjects, 'subject')}?`;
  }
  signal.throwIfAborted();
  await invocation.confirm(
    `${question} Their tokens are refused from then on.`,
    flags.all ? context.settings.redis.prefix : undefined,
  );
  const into = file === undefined ? undefined : { backups: await context.backups(), file };
  const report = await withProgress('Removing', (onProgress) => flush(ports, { ...input, onProgress }, into));
  return outcomeOf(report, false);
};

function outcomeOf(report: FlushReport, dryRun: boolean): Outcome {
  return {
    view: flushReport(report, dryRun),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not reached: ${missed}`)),
  };
}

function assertSelection({ all, sub, kid, issuedBefore }: FlushFlags): void {
  const isNarrowed = [sub, kid, issuedBefore].some((value) => value !== undefined);
  if (all === undefined ? isNarrowed : !isNarrowed) return;
  const message =
    all === undefined
      ? 'cache flush: no entries are selected.'
      : '--all cannot be combined with --sub, --kid, or --issued-before.';
  throw new JwtctlError('ERR_FLAG_COMBINATION', message, {
    hint: 'Specify --all, or one or more of --sub, --kid, and --issued-before.',
  });
}

async function filterOf(database: Database, { kid, issuedBefore }: FlushFlags) {
  return { keyId: kid === undefined ? undefined : (await requireKey(database, kid)).id, issuedBefore };
}

function targetOf({ sub, kid, issuedBefore }: FlushFlags, prefix: string): string {
  const parts = [
    ...(sub === undefined ? [] : [sub]),
    ...(kid === undefined ? [] : [kid]),
    ...(issuedBefore === undefined ? [] : [`issued before ${issuedBefore}`]),
  ];
  return parts.length === 0 ? `all under ${prefix}`.trim() : parts.join(', ');
}

function selectionText({ sub, kid, issuedBefore }: FlushFlags, prefix: string): string {
  return [
    'every entry',
    ...(sub === undefined ? [] : [`of ${JSON.stringify(sub)}`]),
    ...(kid === undefined ? [] : [`of key ${kid}`]),
    ...(issuedBefore === undefined ? [] : [`issued at ${isoTime(issuedBefore)} or earlier`]),
    ...(prefix === '' ? [] : [`with the prefix ${prefix}`]),
  ].join(' ');
}
