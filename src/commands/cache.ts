import type { Context } from '../context.js';
import { countFlush, type FlushInput, flush } from '../domain/flushing.js';
import { requireKey } from '../domain/key-lookup.js';
import { parseKid } from '../domain/kid.js';
import type { Database } from '../domain/ports.js';
import { asSentence } from '../domain/prose.js';
import { parseSubject } from '../domain/subject.js';
import { counted } from '../output/counted.js';
import { EXIT } from '../output/exit-code.js';
import { flushReport } from '../output/views/cache.js';
import { defineCacheInspection } from './cache-inspect.js';
import { examples } from './examples.js';
import { exactlyOne, momentFlag } from './flags.js';
import type { Action, DefineGroup } from './invocation.js';

export const defineCache: DefineGroup = (group, run) => {
  defineCacheInspection(group, run);

  group
    .command('flush')
    .option('--all', 'every entry under the prefix')
    .option('--sub <sub>', 'the entries of one subject')
    .option('--kid <kid>', 'the entries under one key', parseKid)
    .option(
      '--issued-before <time>',
      'entries issued then or earlier (NumericDate or ISO 8601)',
      momentFlag('--issued-before'),
    )
    .description(
      'remove entries from the registry: their tokens are refused until something brings the entries back',
    )
    .addHelpText(
      'after',
      examples('jwtctl cache flush --all --dry-run', 'jwtctl cache flush --sub alice --yes'),
    )
    .action(run(flushEntries));
};

interface FlushFlags {
  all?: true;
  sub?: string;
  kid?: string;
  issuedBefore?: number;
}

const flushEntries: Action<FlushFlags, []> = async ({ context: open, globals, confirm, signal }, flags) => {
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  exactlyOne(
    { '--all': flags.all, '--sub': sub, '--kid': flags.kid, '--issued-before': flags.issuedBefore },
    'cache flush',
  );
  const context = await open();
  const ports = await context.administration();
  const input: FlushInput = {
    ...(sub === undefined ? {} : { sub }),
    filter: await filterOf(ports.database, flags),
    target: targetOf(flags, ports.registry.prefix),
    signal,
  };
  const counted = await countFlush(ports, input);
  if (!globals.dryRun) {
    signal.throwIfAborted();
    await confirm(question(counted), flags.all ? typedBack(context) : undefined);
  }
  const report = globals.dryRun ? counted : await flush(ports, input);
  return {
    view: flushReport(report, globals.dryRun),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not reached: ${missed}`)),
  };
};

function question({ matched, subjects }: { matched: number; subjects: number }): string {
  return `Remove ${counted(matched, 'entry', 'entries')} of ${counted(subjects, 'subject')}? Their tokens are refused from then on.`;
}

/** What names this registry, and no other one. */
function typedBack({ settings }: Context): string {
  return settings.redis.prefix;
}

async function filterOf(database: Database, { kid, issuedBefore }: FlushFlags) {
  return {
    ...(kid === undefined ? {} : { keyId: (await requireKey(database, kid)).id }),
    ...(issuedBefore === undefined ? {} : { issuedBefore }),
  };
}

function targetOf({ sub, kid, issuedBefore }: FlushFlags, prefix: string): string {
  if (sub !== undefined) return sub;
  if (kid !== undefined) return kid;
  return issuedBefore === undefined ? `all under ${prefix}` : `issued before ${issuedBefore}`;
}
