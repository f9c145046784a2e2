export type ColorEnv = Readonly<
  Record<'FORCE_COLOR' | 'NO_COLOR' | 'CLICOLOR_FORCE' | 'TERM', string | undefined>
>;

/** Decides as Node.js does (`FORCE_COLOR` before `NO_COLOR`), and then as https://bixense.com/clicolors. */
export function wantsColor(env: Partial<ColorEnv>, isTerminal: boolean): boolean {
  const { FORCE_COLOR, NO_COLOR, CLICOLOR_FORCE, TERM } = env;
  if (FORCE_COLOR) return isOn(FORCE_COLOR);
  if (NO_COLOR) return false;
  if (CLICOLOR_FORCE && isOn(CLICOLOR_FORCE)) return true;
  return isTerminal && TERM !== 'dumb';
}

function isOn(value: string): boolean {
  return !['0', 'false'].includes(value.toLowerCase());
}
