import type { AuditFilter } from '../../../domain/ports/index.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { auditList } from '../../output/views/audit.js';
import { pastMomentFlag } from '../shared/flags.js';
import { addListFlags, type ListFlags, listOutcome } from '../shared/list-flags.js';

export const defineList: DefineCommand = (group, run) => {
  addListFlags(group.command('list'), 'actor, login, action, target, outcome, or reason')
    .description('List the rows of the audit log, the newest first.')
    .option(
      '--since <time>',
      'rows from this time on (NumericDate, ISO 8601, now, or how long ago: 2h)',
      pastMomentFlag('--since'),
    )
    .option(
      '--until <time>',
      'rows up to this time (NumericDate, ISO 8601, now, or how long ago: 2h)',
      pastMomentFlag('--until'),
    )
    .option('--actor <actor>', 'rows of this actor')
    .option('--action <action>', 'rows of this action, such as keys.rotate')
    .option('--target <target>', 'rows about this target, such as a subject or a kid')
    .examples(
      'jwtctl audit list --limit 20',
      'jwtctl audit list --target alice --since 2026-01-31T00:00:00Z --json',
    )
    .action(run(list));
};

const list: Action<AuditFilter & ListFlags, []> = async (
  { context: open, globals },
  { since, until, action, target, ...flags },
) => {
  const { auditLog } = await (await open({ migratesEmbedded: false })).database();
  // Commander gives the value of --actor to the global flag of the same name. This command records nothing, so it has no other use here.
  const filter = { since, until, action, target, actor: globals.actor ?? undefined };
  return listOutcome(auditList(auditLog.list(filter)), flags, globals, SEARCHED);
};

const SEARCHED = ['actor', 'login', 'action', 'target', 'outcome', 'reason'];
