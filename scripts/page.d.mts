import type { Metafile, Plugin } from 'esbuild';

export function pageModule(): Promise<{ contents: string; metafile: Metafile }>;
export function pageLoader(page: { contents: string }): Plugin;
