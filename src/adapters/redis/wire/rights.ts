export class MissingRightsError extends Error {
  /** The name that ioredis gives an error reply. */
  override readonly name = 'ReplyError';

  constructor(
    readonly rights: readonly string[],
    cause: unknown,
  ) {
    super('NOPERM', { cause });
  }
}

const CONTAINERS = new Set(['client', 'cluster', 'config', 'memory']);

/** Returns a command in ACL syntax, with its subcommand: `+cluster` alone also grants RESET and FAILOVER. */
function rightOf(name: string, subcommand: unknown): string {
  const command = name.toLowerCase();
  return CONTAINERS.has(command) && subcommand !== undefined
    ? `${command}|${String(subcommand).toLowerCase()}`
    : command;
}

export function rightsIn(error: unknown): readonly string[] {
  if (error instanceof MissingRightsError) return error.rights;
  const { command } = error as { command?: { name?: string; args?: readonly unknown[] } };
  return command?.name === undefined ? [] : [rightOf(command.name, command.args?.[0])];
}
