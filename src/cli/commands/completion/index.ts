import type { Command } from 'commander';
import { Argument } from 'commander';
import type { Context } from '../../../app/context.js';
import type { ConfigSources } from '../../../config/load-config.js';
import type { Settings } from '../../../config/settings.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { type Candidate, candidatesFor, type Source } from './candidates.js';
import { COMPLETION_SCRIPTS, type Shell } from './scripts.js';

/** A shell waits for the answer. */
const MOST_SECONDS = 0.3;
const MOST_SUBJECTS = 100;
/**
 * One page of a source. If the source ignores case when it sorts, other subjects can stand between those with the
 * prefix.
 */
const MOST_READ = 1_000;

/** Another person may have chosen a value of the store. No shell runs a part of these, and none is a flag. */
const HARMLESS = /^[\w.@+:/=][\w.@+:/=-]*$/;

export const defineCompletion: DefineCommand = (command, run) => {
  const completion: Action<object, [Shell, string[]]> = async (invocation, _flags, shell, words) => {
    if (words.length === 0) return { view: text(COMPLETION_SCRIPTS[shell]) };
    const found = await candidatesFor(
      command.parent as Command,
      words,
      (values) => async (source, prefix) => {
        const sources = invocation.sourcesOf(values);
        const offered = await fromStore(invocation, sources, source, prefix);
        return offered.filter(({ value }) => HARMLESS.test(value));
      },
    );
    return { view: text(found === 'files' ? ':files' : found.map(line).join('\n')) };
  };
  command
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(COMPLETION_SCRIPTS)))
    .argument('[words...]', 'the words of a command line, for which the script asks what can follow')
    .examples(
      'jwtctl completion bash > ~/.local/share/bash-completion/completions/jwtctl',
      'jwtctl completion zsh > ~/.zfunc/_jwtctl',
      'jwtctl completion fish > ~/.config/fish/completions/jwtctl.fish',
    )
    .action(run(completion));
};

function text(content: string) {
  return { shape: 'text', text: content, data: { text: content } } as const;
}

function line({ value, description }: Candidate): string {
  return description === '' ? value : `${value}\t${description}`;
}

/** Nothing if the store does not answer in time, or fails. */
async function fromStore(
  { briefly }: Invocation,
  sources: ConfigSources,
  source: Source,
  prefix: string,
): Promise<readonly Candidate[]> {
  const { loadConfig } = await import('../../../config/load-config.js');
  const config = await loadConfig(sources).catch(() => null);
  if (config === null) return [];
  if (source === 'profiles') return config.profiles.map((value) => ({ value, description: '' }));
  if ((source === 'subjects' && prefix === '') || needsCommand(config.settings)) return [];
  const found = await briefly(config.settings, MOST_SECONDS, (context) =>
    source === 'kids' ? kids(context) : subjects(context, prefix),
  );
  return found ?? [];
}

/** Such a command may be slow, or ask for a password. */
function needsCommand({ mysql, redis, masterKey }: Settings): boolean {
  return [mysql.passwordCommand, redis.passwordCommand, masterKey.command].some(
    (command) => command !== null,
  );
}

async function kids(context: Context): Promise<Candidate[]> {
  const { keys } = await (await context.database()).keys.snapshot();
  return keys.map(({ kid, state }) => ({ value: kid, description: state }));
}

async function subjects(context: Context, prefix: string): Promise<Candidate[]> {
  const found: Candidate[] = [];
  let read = 0;
  for await (const { sub, status } of (await context.users()).list(undefined, prefix)) {
    if (sub.startsWith(prefix)) found.push({ value: sub, description: status });
    if (++read === MOST_READ || found.length === MOST_SUBJECTS) break;
  }
  return found;
}
