import { requireKeyAmong } from '../../../domain/keys/find-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { inspectRegistry, inspectSubject } from '../../../domain/registry/inspect.js';
import type { Inspection } from '../../../domain/registry/inspection.js';
import { watchRegistry } from '../../../domain/registry/watch.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { asSentence } from '../../../domain/shared/text.js';
import type { Globals } from '../../globals.js';
import type { Action, DefineCommand, Invocation, ReportProgress } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { inspection } from '../../output/views/inspection.js';
import { watch } from '../../output/views/watch.js';
import { durationFlag, integerFlag } from '../shared/flags.js';

export const defineInspect: DefineCommand = (group, run) => {
  group
    .command('inspect')
    .description('Count the live tokens by subject, key, node, and remaining lifetime.')
    .option('--sub <sub>', 'inspect only this subject')
    .option('--kid <kid>', 'count only tokens signed with this key', parseKid)
    .option(
      '--top <n>',
      'how many of the subjects with the most tokens to list, from 0 to 1000 (default: 10)',
      integerFlag('--top', 0, 1000),
    )
    .option('--deep', 'also check each subject: does its set expire in time, and does the user exist')
    .option(
      '--watch [interval]',
      'repeat until Ctrl-C, and show what changes (default: every 2s)',
      durationFlag,
    )
    .examples('jwtctl cache inspect --deep', 'jwtctl cache inspect --watch 5s --top 3')
    .action(run(inspect));
};

interface InspectFlags {
  sub?: string;
  kid?: string;
  top?: number;
  deep?: true;
  /** Seconds; true where it is not said. */
  watch?: number | true;
}

const inspect: Action<InspectFlags, []> = async (invocation, flags) => {
  const { globals, signal } = invocation;
  if (flags.watch !== undefined) requireLiveOutput(globals);
  const look = await lookingBy(invocation, flags);
  const { clock } = await invocation.context();
  if (flags.watch !== undefined) {
    const intervalSeconds = flags.watch === true ? WATCH_SECONDS : flags.watch;
    const looks = watchRegistry((at, since) => look(at, since), { clock, intervalSeconds, signal });
    return { view: watch(looks, intervalSeconds) };
  }
  const now = clock.now();
  const report = await invocation.withProgress('Reading', (onProgress) => look(now, undefined, onProgress));
  return {
    view: inspection(report, now),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: report.missed.map((missed) => asSentence(`Not seen: ${missed}`)),
  };
};

const WATCH_SECONDS = 2;

/** One look at what the flags ask for. */
async function lookingBy({ context: open, signal }: Invocation, flags: InspectFlags) {
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  const context = await open();
  const [{ database, registry }, users] = await Promise.all([context.administration(), context.users()]);
  return async (now: number, since?: number, onProgress?: ReportProgress): Promise<Inspection> => {
    // Each time anew: a key may be compromised while somebody watches.
    const { keys } = await database.keys.snapshot();
    const input = {
      now,
      top: flags.top ?? 10,
      clockToleranceSeconds: context.settings.token.clockTolerance,
      signal,
      ...(since === undefined ? {} : { since }),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(flags.kid === undefined ? {} : { key: requireKeyAmong(keys, flags.kid) }),
    };
    return sub === undefined
      ? inspectRegistry(registry, keys, { ...input, ...(flags.deep ? { deep: { users } } : {}) })
      : inspectSubject({ registry, users }, keys, { ...input, sub });
  };
}

/** A watch has no end, so it can be no single document, and it is drawn over itself or written line by line. */
function requireLiveOutput({ format, canRedraw }: Globals): void {
  if (format === 'json' || format === 'quiet') {
    throw new JwtctlError(
      'ERR_FLAG_COMBINATION',
      `--watch has no end, and ${format === 'json' ? '--json is one document' : '--quiet prints one line'}.`,
      { hint: 'With -o ndjson each look is an object on a line of its own.' },
    );
  }
  if (format === 'table' && !canRedraw) {
    throw new JwtctlError(
      'ERR_TERMINAL_NEEDED',
      '--watch draws on a terminal, and standard output is none that it could draw on.',
      { hint: 'With -o ndjson each look is an object on a line of its own.' },
    );
  }
}
