import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';

/** The first word, if it has no shell syntax, such as quotes or variables. The name in `name () {` is a function. */
const PLAIN_PROGRAM = /^\s*([\w./][\w./+-]*)(?=\s|$)(?!\s*\()/;

/**
 * Returns why /bin/sh cannot run the program of this command; null if it can, or if only running it would tell.
 * Names only the program, because its arguments may contain secrets.
 */
export async function programProblem(command: string): Promise<string | null> {
  const [, program] = PLAIN_PROGRAM.exec(command) ?? [];
  if (program === undefined) return null;
  return program.includes('/') ? fileProblem(program) : (await isMissing(program)) ? notFound(program) : null;
}

async function fileProblem(file: string): Promise<string | null> {
  const found = await stat(file).catch(() => null);
  if (found === null) return notFound(file);
  const isExecutable = await access(file, constants.X_OK).then(
    () => found.isFile(),
    () => false,
  );
  return isExecutable ? null : `this account cannot execute ${file}`;
}

function notFound(program: string): string {
  return `${program} does not exist`;
}

/** Also finds commands that are built into the shell. False if the shell cannot answer. */
function isMissing(program: string): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const args = ['-c', 'command -v "$1" >/dev/null', 'sh', program];
    execFile('/bin/sh', args, { timeout: 5_000 }, (error) => resolve(NOT_FOUND.has(error?.code)));
  }).catch(() => false);
}

/** Exit codes of `command -v`: 127 of dash, 1 of bash. */
const NOT_FOUND: ReadonlySet<unknown> = new Set([1, 127]);
