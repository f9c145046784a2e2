export interface Origin {
  readonly source: 'argument' | 'answer' | 'flag' | 'variable' | 'file' | 'default';
  readonly name: string;
  readonly line: number | null;
  readonly profile: string | null;
}

export const DEFAULT_ORIGIN: Origin = { source: 'default', name: 'default', line: null, profile: null };

export function flagOrigin(flag: string): Origin {
  return { source: 'flag', name: flag, line: null, profile: null };
}

export function variableOrigin(variable: string): Origin {
  return { source: 'variable', name: variable, line: null, profile: null };
}

/** Such as `--token-ttl` or `/etc/jwtctl/config.yaml:3 (profile staging)`. */
export function originText({ name, line, profile }: Origin): string {
  return `${name}${line === null ? '' : `:${line}`}${profile === null ? '' : ` (profile ${profile})`}`;
}
