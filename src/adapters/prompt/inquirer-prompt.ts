import inquirer from 'inquirer';
import { JwtctlError } from '../../domain/errors.js';
import type { Prompt } from '../../domain/ports.js';

/** Asks on the terminal. What is asked goes to stderr: stdout is data. */
export const inquirerPrompt: Prompt = {
  async confirm(message) {
    const { answer } = await ask({
      type: 'confirm' as const,
      name: 'answer' as const,
      message,
      default: false,
    });
    return answer === true;
  },
  async typeBack(message) {
    const { answer } = await ask({ type: 'input' as const, name: 'answer' as const, message });
    return String(answer);
  },
  async password(message) {
    const { answer } = await ask({
      type: 'password' as const,
      name: 'answer' as const,
      message,
      toggleMask: false,
    });
    return String(answer);
  },
};

type Question = Parameters<ReturnType<typeof inquirer.createPromptModule>>[0];

async function ask(question: object): Promise<{ answer: unknown }> {
  try {
    const prompt = inquirer.createPromptModule({ output: process.stderr });
    return (await prompt([question] as unknown as Question)) as { answer: unknown };
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError') {
      throw new JwtctlError(
        'interrupted',
        'ERR_INTERRUPTED',
        'Interrupted at the question: nothing was done.',
      );
    }
    throw error;
  }
}
