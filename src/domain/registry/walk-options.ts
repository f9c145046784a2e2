import type { WalkOptions } from '../ports/index.js';

/** How whoever asked for a walk ends it early, and hears how far it is. */
export type WalkControl = Pick<WalkOptions, 'signal' | 'onProgress'>;

/** That part of other options. */
export function walkControl({ signal, onProgress }: WalkControl): WalkControl {
  return { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) };
}
