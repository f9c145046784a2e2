export function findProgram(...names: string[]): string | null;
export function requireProgram(...names: string[]): string;
export const CHROMIUM_NAMES: string[];
export function findChromium(): string;
export const CHROMIUM_ARGUMENTS: string[];
