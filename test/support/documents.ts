import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Every Markdown file of the repository, relative to its root. */
export const DOCUMENTS = execFileSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' })
  .trim()
  .split('\n');

export function readDocument(document: string): string {
  return readFileSync(join(ROOT, document), 'utf8');
}

/** A line that a reader types, and the output that the document shows below it (only in `console` blocks). */
export interface ShellCommand {
  command: string;
  output: string[];
}

/** Returns the text of each fenced block in one of `languages`. */
export function fencedBlocks(text: string, ...languages: string[]): string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, language]) => languages.includes(language as string))
    .map(([, , block]) => block as string);
}

/** Splits a `console` block at its prompts (`$ `). */
export function consoleCommands(block: string): ShellCommand[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => part.trimEnd().split('\n'))
    .map(([command = '', ...output]) => ({ command, output }));
}

/** Returns the arguments of each jwtctl call in a text of shell commands, without comments and redirections. */
export function jwtctlCalls(shell: string): string[][] {
  const lines = shell.replaceAll('\\\n', ' ').split('\n');
  const pieces = lines.flatMap((line) => {
    const bare = line.replace(/(^|\s)#.*/, '').replace(/\d?(?:>+|<(?!\())\s*\S+/g, '');
    const words = bare.match(/\$\(|[|;&()`]+|(?:"[^"]*"|'[^']*'|[^\s"'|;&()`$]|\$(?!\())+/g) ?? [];
    return [...words, ';'];
  });
  const calls: string[][] = [];
  let isInCall = false;
  for (const piece of pieces) {
    if (/^(\$\(|[|;&()`]+)$/.test(piece)) isInCall = false;
    else if (isInCall) calls.at(-1)?.push(piece.replace(/["']/g, ''));
    else if (piece === 'jwtctl') {
      isInCall = true;
      calls.push([]);
    }
  }
  return calls;
}
