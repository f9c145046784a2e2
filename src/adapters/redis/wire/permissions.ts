export class MissingPermissionsError extends Error {
  /** The name that ioredis gives an error reply. */
  override readonly name = 'ReplyError';

  constructor(
    readonly permissions: readonly string[],
    cause: unknown,
  ) {
    super('NOPERM', { cause });
  }
}

const CONTAINERS = new Set(['client', 'cluster', 'config', 'memory']);

/** Returns a command in ACL syntax, with its subcommand: `+cluster` alone also grants RESET and FAILOVER. */
function permissionOf(name: string, subcommand: unknown): string {
  const command = name.toLowerCase();
  return CONTAINERS.has(command) && subcommand !== undefined
    ? `${command}|${String(subcommand).toLowerCase()}`
    : command;
}

export function permissionsIn(error: unknown): readonly string[] {
  if (error instanceof MissingPermissionsError) return error.permissions;
  const { command } = error as { command?: { name?: string; args?: readonly unknown[] } };
  return command?.name === undefined ? [] : [permissionOf(command.name, command.args?.[0])];
}
