import type { Action, DefineCommand } from '../../invocation.js';
import { migrationReport } from '../../output/views/db/schema.js';
import { applyMigrations } from '../shared/apply-migrations.js';

export const defineMigrate: DefineCommand = (group, run) => {
  group
    .command('migrate')
    .description('Apply pending schema migrations.\n\nSafe to run again, and from several hosts at once.')
    .examples('jwtctl db migrate', 'jwtctl db migrate --dry-run')
    .action(run(migrate));
};

const migrate: Action<object, []> = async ({ context: open, globals }) => {
  const context = await open();
  if (globals.dryRun) return { view: migrationReport(await (await context.schema()).plan(), true) };
  return { view: migrationReport(await applyMigrations(context), false) };
};
