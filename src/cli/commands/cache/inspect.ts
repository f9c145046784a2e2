import { askFleet, NO_VERIFIERS } from '../../../domain/fleet/running-verifiers.js';
import { inspectRegistry, inspectSubject } from '../../../domain/inspection/inspect.js';
import type { Inspection } from '../../../domain/inspection/types.js';
import { watchRegistry } from '../../../domain/inspection/watch.js';
import { requireKeyAmong } from '../../../domain/keys/find-key.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Globals } from '../../globals.js';
import type { Action, DefineCommand, Invocation, ReportProgress } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { inspection, notRead } from '../../output/views/cache/inspect.js';
import { watch } from '../../output/views/cache/watch.js';
import { contradiction, durationFlag, integerFlag } from '../shared/flags.js';

export const defineInspect: DefineCommand = (group, run) => {
  group
    .command('inspect')
    .description(
      'Count the live tokens by subject, key, node, and remaining lifetime.\n\nThe page of --html is one file that loads nothing from the network. It names subjects, which are personal data, so only its owner can read it.',
    )
    .option('--sub <sub>', 'inspect only this subject')
    .option('--kid <kid>', 'count only tokens signed with this key', parseKid)
    .option(
      '--top <n>',
      'number of subjects to list, those with the most tokens first, from 0 to 1000 (default: 10)',
      integerFlag('--top', 0, 1000),
    )
    .option('--deep', "also check that each subject's set expires in time and that its user exists")
    .option(
      '--watch [interval]',
      'repeat until Ctrl-C, and show changes and how many tokens running verifiers refuse (default: every 2s)',
      durationFlag,
    )
    .option(
      '--html <file>',
      'write a page for a browser, with the keys on a time axis and the findings of `jwtctl doctor`; - for standard output',
    )
    .examples(
      'jwtctl cache inspect --deep',
      'jwtctl cache inspect --watch 5s --top 3',
      'jwtctl cache inspect --html registry.html',
    )
    .action(run(inspect));
};

interface InspectFlags {
  sub?: string;
  kid?: string;
  top?: number;
  deep?: true;
  /** Seconds; true for the default. */
  watch?: number | true;
  html?: string;
}

const inspect: Action<InspectFlags, []> = async (invocation, flags) => {
  const { globals, signal } = invocation;
  if (flags.html !== undefined) {
    const { inspectAsPage } = await import('./inspect-as-page.js');
    return inspectAsPage(invocation, flags.html, flags);
  }
  if (flags.watch !== undefined) requireLiveOutput(globals);
  const look = await createLook(invocation, flags);
  const { clock, registry: openRegistry } = await invocation.context();
  if (flags.watch !== undefined) {
    const intervalSeconds = flags.watch === true ? WATCH_SECONDS : flags.watch;
    const isWhole = flags.sub === undefined && flags.kid === undefined;
    const looks = watchRegistry((at, since) => look(at, since), {
      ...{ clock, intervalSeconds, signal },
      // Verifiers count the refused tokens of all subjects and keys together.
      askFleet: async () => (isWhole ? askFleet({ openRegistry, clock }) : NO_VERIFIERS),
    });
    return { view: watch(looks, intervalSeconds) };
  }
  const now = clock.now();
  const report = await invocation.withProgress('Reading', (onProgress) => look(now, undefined, onProgress));
  return {
    view: inspection(report, now),
    exitCode: report.complete ? EXIT.done : EXIT.partial,
    warnings: notRead(report),
  };
};

const WATCH_SECONDS = 2;

async function createLook({ context: open, signal }: Invocation, flags: InspectFlags) {
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  const context = await open({ migratesEmbedded: false });
  const [{ database, registry }, users] = await Promise.all([context.administration(), context.users()]);
  return async (now: number, since?: number, onProgress?: ReportProgress): Promise<Inspection> => {
    // Read each time, because a key may be compromised during a watch.
    const { keys } = await database.keys.snapshot();
    const input = {
      now,
      top: flags.top ?? 10,
      clockToleranceSeconds: context.settings.token.clockTolerance,
      signal,
      since,
      onProgress,
      key: flags.kid === undefined ? undefined : requireKeyAmong(keys, flags.kid),
    };
    return sub === undefined
      ? inspectRegistry(registry, keys, { ...input, ...(flags.deep ? { deep: { users } } : {}) })
      : inspectSubject({ registry, users }, keys, { ...input, sub });
  };
}

function requireLiveOutput({ format, canRedraw }: Globals): void {
  const hint = 'Use -o ndjson to print one JSON object for each inspection.';
  if (format === 'json' || format === 'quiet') {
    throw contradiction(`--watch cannot be combined with --${format}.`, hint);
  }
  if (format === 'table' && !canRedraw) {
    throw new JwtctlError('ERR_TERMINAL_NEEDED', '--watch requires an interactive terminal.', { hint });
  }
}
