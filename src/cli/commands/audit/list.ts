import type { AuditFilter, AuditRow } from '../../../domain/ports/index.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { auditList } from '../../output/views/audit.js';
import { integerFlag, momentFlag } from '../shared/flags.js';

export const defineList: DefineCommand = (group, run) => {
  group
    .command('list')
    .description('List the rows of the audit log, the newest first.')
    .option('--since <time>', 'rows from this time on (NumericDate or ISO 8601)', momentFlag('--since'))
    .option('--until <time>', 'rows up to this time (NumericDate or ISO 8601)', momentFlag('--until'))
    .option('--actor <actor>', 'rows of this actor')
    .option('--action <action>', 'rows of this action, such as keys.rotate')
    .option('--target <target>', 'rows about this target, such as a subject or a kid')
    .option('--limit <n>', 'at most this many rows', integerFlag('--limit', 1, 1_000_000_000))
    .examples(
      'jwtctl audit list --limit 20',
      'jwtctl audit list --target alice --since 2026-01-31T00:00:00Z --json',
    )
    .action(run(list));
};

const list: Action<AuditFilter & { limit?: number }, []> = async (
  { context: open, globals },
  { limit, since, until, action, target },
) => {
  const { auditLog } = await (await open()).database();
  // The global flag of the same name takes the value. This command records nothing, so it has no other use here.
  const filter = { since, until, action, target, actor: globals.actor ?? undefined };
  let isCut = false;
  const rows = first(auditLog.list(filter), limit, () => {
    isCut = true;
  });
  return {
    view: auditList(rows),
    completion: async () => ({ notes: isCut ? ['There are older rows. Raise --limit to see them.'] : [] }),
  };
};

async function* first(
  rows: AsyncIterable<AuditRow>,
  limit = Number.POSITIVE_INFINITY,
  onMore: () => void,
): AsyncGenerator<AuditRow> {
  let count = 0;
  for await (const row of rows) {
    if (count === limit) return onMore();
    count += 1;
    yield row;
  }
}
