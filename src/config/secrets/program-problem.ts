import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';

/** The first word, if /bin/sh takes it as it is. */
const PLAIN_PROGRAM = /^\s*([\w./][\w./+-]*)(?=\s|$)/;

/**
 * Returns why /bin/sh would not find the program of this command; null if it would, or if that cannot be told without
 * running the command. Names only the program, because its arguments may contain secrets.
 */
export async function programProblem(command: string): Promise<string | null> {
  const [, program] = PLAIN_PROGRAM.exec(command) ?? [];
  if (program === undefined) return null;
  return program.includes('/') ? fileProblem(program) : (await isKnown(program)) ? null : notFound(program);
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

/** Knows what is built into the shell, too. */
function isKnown(program: string): Promise<boolean> {
  return new Promise((resolve) => {
    const args = ['-c', 'command -v "$1" >/dev/null', 'sh', program];
    execFile('/bin/sh', args, { timeout: 5_000 }, (error) => resolve(error === null));
  });
}
