// @ts-check
/**
 * @typedef {{ rounds: number, tokens: number, subjects: number }} Sizes
 *
 * @typedef {object} Benchmark
 * @property {string} name
 * @property {string} summary
 * @property {Sizes} sizes unless told otherwise
 * @property {(tools: { stores: import('./stores.mjs').Stores, sizes: Sizes, say: (text: string) => void }) => Promise<import('./report.mjs').Report>} run
 * rejects where something fails, or where product and peer do not agree on what there is
 */
export {};
