import type { Context } from '../app/context.js';
import { JwtctlError } from '../domain/shared/errors.js';
import { printable } from '../domain/shared/text.js';
import type { Globals } from './globals.js';

/** @throws JwtctlError `ERR_CONFIRMATION_NEEDED` (usage), `ERR_NOT_CONFIRMED` (interrupted) */
export async function ask(
  globals: Globals,
  { prompt: openPrompt }: Pick<Context, 'prompt'>,
  signal: AbortSignal,
  question: string,
  typeBack: string | undefined,
): Promise<void> {
  if (!globals.canAsk) {
    throw new JwtctlError('ERR_CONFIRMATION_NEEDED', `This command needs confirmation: ${question}`);
  }
  const prompt = await openPrompt();
  const isConfirmed =
    typeBack === undefined
      ? await prompt.confirm(question, signal)
      : isSame(
          await prompt.typeBack(`${question}\n  Type ${printable(typeBack)} to confirm:`, signal),
          typeBack,
        );
  if (!isConfirmed) throw notConfirmed();
}

/** A name with invisible characters may be typed as it is, or with the escapes that the question shows. */
function isSame(typed: string | null, name: string): boolean {
  return typed === name || typed === printable(name);
}

export function notConfirmed(): JwtctlError {
  return new JwtctlError('ERR_NOT_CONFIRMED', 'Not confirmed: nothing was done.');
}

export function passphraseNeeded(what: string): JwtctlError {
  return new JwtctlError('ERR_PASSPHRASE_NEEDED', `${what} is required, but this command cannot prompt.`);
}
