import inquirer from 'inquirer';
import type { Prompt } from '../../domain/ports/index.js';

/** Questions go to stderr, because stdout is for data. */
export const inquirerPrompt: Prompt = {
  confirm: async (message, signal) =>
    (await ask({ type: 'confirm', message, default: false }, signal)) === true,
  typeBack: (message, signal) => askText({ type: 'input', message }, signal),
  text: (message, { initial, isEditable = false, check, shown = String }, signal) =>
    askText(
      {
        ...{ type: 'input', message, validate: (text: string) => check(text) ?? true },
        transformer: (text: string, { isFinal }: { isFinal?: boolean }) => (isFinal ? shown(text) : text),
        ...(initial === null ? {} : { default: initial, prefill: isEditable ? 'editable' : 'tab' }),
      },
      signal,
    ),
  choose: async (message, choices, initial, signal) => {
    const answer = await ask({ type: 'select', message, choices, default: initial }, signal);
    return choices.find(({ value }) => value === answer)?.value ?? null;
  },
  password: (message, signal) => {
    const validate = (text: string) => text !== '' || 'Type at least one character.';
    return askText({ type: 'password', message, toggleMask: false, validate }, signal);
  },
};

async function askText(question: object, signal: AbortSignal): Promise<string | null> {
  const answer = await ask(question, signal);
  return answer === null ? null : String(answer);
}

type Questions = Parameters<ReturnType<typeof inquirer.createPromptModule>>[0];

/** Returns null if the user ended the question with Ctrl-C or Ctrl-D, or closed the terminal. */
async function ask(question: object, signal: AbortSignal): Promise<unknown> {
  const { stdin } = process;
  if (signal.aborted || stdin.readableEnded) return null;
  // At the end of input, inquirer closes its readline but never settles. That pauses or ends stdin.
  const ended = new AbortController();
  const end = () => ended.abort();
  const events = ['pause', 'end', 'error'] as const;
  for (const event of events) stdin.on(event, end);
  signal.addEventListener('abort', end);
  try {
    const prompt = inquirer.createPromptModule({ output: process.stderr, signal: ended.signal });
    const { answer } = await prompt([{ ...question, name: 'answer' }] as unknown as Questions);
    return answer;
  } catch (error) {
    if (error instanceof Error && ENDINGS.has(error.name)) return null;
    throw error;
  } finally {
    for (const event of events) stdin.off(event, end);
    signal.removeEventListener('abort', end);
  }
}

const ENDINGS = new Set(['ExitPromptError', 'AbortPromptError']);
