/** A reply in whose place it is known which rights were missing. */
export class MissingRightsError extends Error {
  /** As ioredis names an error reply. */
  override readonly name = 'ReplyError';

  constructor(
    readonly rights: readonly string[],
    cause: unknown,
  ) {
    super('NOPERM', { cause });
  }
}

const CONTAINERS = new Set(['client', 'cluster', 'config', 'memory']);

/** A command's name as an ACL has it: of the subcommand, never of all of its kind (`+cluster` grants RESET and FAILOVER). */
function rightOf(name: string, subcommand: unknown): string {
  const command = name.toLowerCase();
  return CONTAINERS.has(command) && subcommand !== undefined
    ? `${command}|${String(subcommand).toLowerCase()}`
    : command;
}

/** The rights that an error speaks of, as far as it is known what was asked. */
export function rightsIn(error: unknown): readonly string[] {
  if (error instanceof MissingRightsError) return error.rights;
  const { command } = error as { command?: { name?: string; args?: readonly unknown[] } };
  return command?.name === undefined ? [] : [rightOf(command.name, command.args?.[0])];
}
