import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { requireProgram } from '../../../scripts/programs.mjs';
import { cli } from '../../support/cli.js';
import { runProgramOnTerminal } from '../../support/pseudo-terminal.js';
import { BIN, spawnProgram } from '../../support/spawned.js';

const shell = cli();
const inHome = (...names: string[]) => join(shell.home, ...names);
let options: { env: Record<string, string>; cwd: string };

/** The first Tab completes. Ctrl-T prints the line as it is then, and starts another one. */
const ZSHRC = `
PROMPT='ready> '
fpath=($HOME $fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' insert-tab false
print-line() { zle -I; print -r -- "[\${BUFFER% }]"; BUFFER= }
zle -N print-line
bindkey '^T' print-line
`;

beforeAll(async () => {
  mkdirSync(inHome('bin'));
  // A busy host may be too slow for candidates from a store.
  mkdirSync(inHome('jwtctl'));
  const config = 'profiles: { staging: {} }\n';
  writeFileSync(inHome('jwtctl/config.yaml'), config, { mode: 0o600 });
  writeFileSync(inHome('bin/jwtctl'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
  chmodSync(inHome('bin/jwtctl'), 0o755);
  for (const [name, file] of Object.entries({ bash: 'jwtctl.bash', zsh: '_jwtctl', fish: 'jwtctl.fish' })) {
    const { stdout } = await shell.run('completion', name);
    expect(stdout).toContain('# To install:');
    writeFileSync(inHome(file), stdout);
  }
  writeFileSync(inHome('.zshrc'), ZSHRC);
  writeFileSync(inHome('key one.pem'), '');
  const { env, home } = shell;
  const PATH = `${inHome('bin')}:${process.env.PATH}`;
  options = { cwd: home, env: { ...env, HOME: home, PATH, TERM: 'dumb' } };
});

/** What follows when the user presses Tab at the end of the line. */
const COMPLETED = [
  ['jwtctl keys sho', 'jwtctl keys show'],
  ['jwtctl keys list --state ac', 'jwtctl keys list --state active'],
  ['jwtctl keys list --state=ac', 'jwtctl keys list --state=active'],
  ['jwtctl --profile st', 'jwtctl --profile staging'],
  ['~/bin/jwtctl keys sho', '~/bin/jwtctl keys show'],
  ["jwtctl --config 'no file' keys sho", "jwtctl --config 'no file' keys show"],
  ['jwtctl keys import --pem ke', 'jwtctl keys import --pem key\\ one.pem'],
  ['jwtctl keys import --pem=ke', 'jwtctl keys import --pem=key\\ one.pem'],
] as const;

/** Returns what zsh shows while these lines are completed, one after the other. */
async function inZsh(...lines: string[]): Promise<string[]> {
  const typed = [...lines.map((line) => `${line}\t\x14`), 'exit\r'];
  const steps = typed.map((type, index) => ({ waitFor: index === 0 ? 'ready> ' : ']', type }));
  const { output } = await runProgramOnTerminal(
    { ...options, killAfterMs: 50_000 },
    steps,
    ...[requireProgram('zsh'), '-i'],
  );
  return output.split(/[\r\n]+/).map((shown) => shown.trimEnd());
}

test('zsh completes words', async () => {
  const shown = await inZsh(...COMPLETED.map(([line]) => line));
  expect(shown.filter((line) => line.startsWith('['))).toEqual(COMPLETED.map(([, line]) => `[${line}]`));
}, 60_000);

test('zsh lists values with their descriptions, if they have one', async () => {
  const shown = await inZsh('jwtctl keys list --', 'jwtctl keys list --state ');
  expect(shown.join('\n')).toMatch(/^--actor +-- name recorded in the audit log \(default: user@host\)$/m);
  expect(shown.join('\n')).toMatch(/^active +compromised +pending/m);
}, 60_000);

test('bash completes for a program that is not on the PATH', async () => {
  const program = `source jwtctl.bash; COMP_LINE='~/bin/jwtctl keys sho' COMP_POINT=21; _jwtctl; echo "\${COMPREPLY[@]}"`;
  const { stdout } = await spawnProgram(requireProgram('bash'), ['-c', program], options);
  expect(stdout).toBe('show\n');
});

/** Returns what fish offers for each of these lines. */
async function inFish(...lines: string[]): Promise<string[][]> {
  const program = 'source jwtctl.fish; for line in $argv; echo LINE; complete --do-complete $line; end';
  const ended = await spawnProgram(requireProgram('fish'), ['--no-config', '-c', program, ...lines], {
    ...options,
    killAfterMs: 50_000,
  });
  expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
  const offered = ended.stdout.split(/^LINE\n/m).slice(1);
  return offered.map((text) => text.split('\n').filter(Boolean));
}

test('fish offers words with their descriptions', async () => {
  const words = COMPLETED.map(([line, completed]) =>
    completed.slice(line.lastIndexOf(' ') + 1).replaceAll('\\', ''),
  );
  const offered = await inFish(...COMPLETED.map(([line]) => line), 'jwtctl keys re');
  expect(offered.pop()).toContain('retire\tRetire a key that no longer signs');
  expect(offered.map((some) => some.map((one) => one.split('\t')[0]))).toEqual(words.map((word) => [word]));
}, 60_000);
