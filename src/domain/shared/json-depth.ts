/** JSON.stringify is recursive and would fail on deeper nesting. */
export const MOST_LEVELS = 100;

export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}
