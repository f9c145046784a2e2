import { mapLines } from '../../../domain/batch/line-batches.js';
import { parseNewSubject } from '../../../domain/model/subject.js';
import { describeValue } from '../../../domain/shared/describe-value.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { excerpt, parseUserName } from '../../../domain/shared/text.js';
import { addUsers, type NewUser, planUsers } from '../../../domain/users/import.js';
import type { Action, DefineCommand } from '../../invocation.js';
import type { RecordFormat } from '../../io.js';
import { importedUser, userImport } from '../../output/views/users.js';
import { type ErrorPlace, errorsOption, formatOption, streamThrough, workThrough } from '../shared/bulk.js';
import { assertManaged } from '../shared/managed-users.js';

export const defineImport: DefineCommand = (group, run) => {
  group
    .command('import')
    .argument(
      '<file>',
      'file with one subject per line, CSV (columns sub and, optionally, name), or NDJSON; - reads standard input',
    )
    .description(
      'Add users from a file.\n\nUsers that already exist are not changed, so it is safe to import a file again.',
    )
    .addOption(formatOption('file format'))
    .addOption(errorsOption())
    .examples('jwtctl users import users.csv', 'jwtctl users import - --format ndjson')
    .action(run(importUsers));
};

interface ImportFlags {
  format?: RecordFormat;
  errors?: ErrorPlace;
}

const importUsers: Action<ImportFlags, [string]> = async (invocation, flags, file) => {
  const { dryRun } = invocation.globals;
  const context = await invocation.context();
  assertManaged(context);
  const input = await invocation.openInput(file);
  const records = await input.records(SUBJECTS, flags.format);
  const database = await context.database(dryRun ? 'pretend' : 'create');
  const ports = { database, clock: context.clock };
  const counts = { added: 0, existing: 0 };
  const bulk = {
    action: 'users.import',
    label: 'importing',
    noun: 'user',
    input,
    source: mapLines(records, newUser),
    work: async (users: readonly NewUser[]) => {
      const outcomes = await (dryRun ? planUsers(ports, users) : addUsers(ports, users));
      for (const outcome of outcomes) counts[outcome] += 1;
      return outcomes.map((outcome, index) => ({ sub: users[index]?.sub ?? '', outcome }));
    },
    summary: () => `${pluralize(counts.added, 'user')} added, ${counts.existing} already existed`,
    errors: flags.errors,
  };
  if (flags.errors === 'stdout') {
    return streamThrough(invocation, context, { ...bulk, item: importedUser, counts: () => counts });
  }
  const run = workThrough(invocation, context, { ...bulk, isPrinting: false });
  for await (const _lines of run.results);
  const { failed, lastLine, complete, exitCode, failures, error } = run.end();
  const view = userImport({ ...counts, failed, lastLine, complete }, dryRun);
  return { view, exitCode, warnings: failures, ...(error === null ? {} : { error }) };
};

const SUBJECTS = { plural: 'subjects', required: ['sub'], optional: ['name'] } as const;

/** Refuses unknown members: to ignore a status would enable a disabled user. */
function newUser(row: Record<string, unknown>): NewUser {
  const { sub, name = null, ...others } = row;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw unusable(`The row has an unknown member '${excerpt(unknown)}'. Expected: sub, name.`);
  if (typeof sub !== 'string')
    throw unusable(`The sub of the row is ${describeValue(sub)}; expected a string.`);
  if (name !== null && typeof name !== 'string')
    throw unusable(`The name of the row is ${describeValue(name)}; expected a string.`);
  return { sub: parseNewSubject(sub), name: name === null || name === '' ? null : parseUserName(name) };
}

function unusable(message: string): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', message);
}
