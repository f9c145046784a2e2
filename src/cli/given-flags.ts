import { flagArgument } from '../domain/shared/text.js';

export type CompleteCommands = (text: string) => string;

/** The flags that choose the configuration. Without them, a command would work on other stores. */
const CHOOSING = ['config', 'profile'];

/** Returns a function that adds the user's `--config` and `--profile` to the commands in a text. */
export function completingCommands(values: Readonly<Record<string, unknown>>): CompleteCommands {
  const flags = CHOOSING.flatMap((name) => {
    const value = values[name];
    return typeof value === 'string' ? [` ${flagArgument(name, value)}`] : [];
  }).join('');
  if (flags === '') return (text) => text;
  return (text) =>
    text.replace(COMMAND, (_quoted, command: string) => `\`${command.replace(END_OF_FLAGS, () => flags)}\``);
}

/** Help reads no configuration. */
const COMMAND = /`(jwtctl (?!help\b|completion\b)[^`]+)`/g;
const END_OF_FLAGS = /(?= -- )|$/;
