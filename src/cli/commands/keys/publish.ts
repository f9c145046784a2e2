import { publishJwkSet } from '../../../domain/keys/publish.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { publishedSet } from '../../output/views/keys/publication.js';
import { contradiction } from '../shared/flags.js';

export const definePublish: DefineCommand = (group, run) => {
  group
    .command('publish')
    .argument('<file>', 'file, which is replaced if the keys have changed')
    .description(
      'Write the JWK Set into a file for a web server.\n\nThe file is replaced atomically, and only if the set has changed. Run it from cron after `jwtctl keys rotate`.',
    )
    .examples('jwtctl keys publish /var/www/auth/jwks.json', 'jwtctl keys publish jwks.json --dry-run --json')
    .action(run(publish));
};

const publish: Action<object, [string]> = async (invocation, _flags, name) => {
  const { globals } = invocation;
  if (name === '-') {
    throw contradiction(
      'The JWK Set is published to a file.',
      'To print it, run `jwtctl keys export --jwks`.',
    );
  }
  const file = invocation.publicFile(name);
  const context = await invocation.context();
  const database = await context.database();
  // A set from a backup may hold a compromised key again.
  await (await context.guard()).assertCurrent();
  const published = await publishJwkSet({ database, file }, { dryRun: globals.dryRun });
  return { view: publishedSet(published, globals.dryRun) };
};
