/** Where a value came from. */
export interface Origin {
  readonly source: 'argument' | 'flag' | 'variable' | 'file' | 'default';
  /** The flag, the variable or the file's path. */
  readonly name: string;
  readonly line: number | null;
  readonly profile: string | null;
}

export const DEFAULT_ORIGIN: Origin = { source: 'default', name: 'default', line: null, profile: null };

/** `--token-ttl`, `JWTCTL_TOKEN_TTL`, `/etc/jwtctl/config.yaml:3 (profile staging)`, `default`. */
export function originText({ name, line, profile }: Origin): string {
  return `${name}${line === null ? '' : `:${line}`}${profile === null ? '' : ` (profile ${profile})`}`;
}
