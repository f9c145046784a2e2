import { Option } from 'commander';
import { mapLines } from '../../../domain/batch/line-batches.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { describeValue } from '../../../domain/shared/describe-value.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt, parseUserName } from '../../../domain/shared/text.js';
import { addUsers, type NewUser, planUsers } from '../../../domain/users/import.js';
import { RECORD_FORMATS, type RecordFormat } from '../../input/records.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { userImport } from '../../output/views/users.js';
import { workThrough } from '../shared/bulk.js';
import { assertManaged } from '../shared/managed-users.js';

export const defineImport: DefineCommand = (group, run) => {
  group
    .command('import')
    .argument(
      '<file>',
      'one subject per line, CSV with the columns sub and, optionally, name, or NDJSON; - reads standard input',
    )
    .description(
      'Add users from a file.\n\nUsers that already exist are not changed, so it is safe to import a file again.',
    )
    .addOption(
      new Option(
        '--format <format>',
        'file format (default: from the file name or, failing that, the content)',
      ).choices(RECORD_FORMATS),
    )
    .examples('jwtctl users import users.csv', 'jwtctl users import - --format ndjson')
    .action(run(importUsers));
};

const importUsers: Action<{ format?: RecordFormat }, [string]> = async (invocation, flags, file) => {
  const { dryRun } = invocation.globals;
  const context = await invocation.context();
  assertManaged(context);
  const input = await invocation.openInput(file);
  const records = await input.records(SUBJECTS, flags.format);
  const database = await context.database(dryRun ? 'pretend' : 'create');
  const ports = { database, clock: context.clock };
  const counts = { added: 0, existing: 0 };
  const run = workThrough(invocation, context, {
    action: 'users.import',
    label: 'importing',
    input,
    source: mapLines(records, newUser),
    work: (users) => (dryRun ? planUsers(ports, users) : addUsers(ports, users)),
    summary: () => `${counts.added} users added, ${counts.existing} existed`,
    isPrinting: false,
  });
  for await (const outcomes of run.results) for (const outcome of outcomes) counts[outcome] += 1;
  const { exitCode, error, ...rest } = run.end();
  return { view: userImport({ ...counts, ...rest }, dryRun), exitCode, ...(error === null ? {} : { error }) };
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
  return { sub: parseSubject(sub), name: name === null || name === '' ? null : parseUserName(name) };
}

function unusable(message: string): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', message);
}
