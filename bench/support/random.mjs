// @ts-check

/**
 * Numbers that look random and are the same in every run (mulberry32), so that two runs measure the same set.
 *
 * @param {number} seed
 */
export function openRandom(seed) {
  let state = seed >>> 0;

  function uint32() {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  return {
    /** @param {number} end exclusive */
    below: (end) => Math.floor((uint32() / 2 ** 32) * end),
    /** @param {Buffer} buffer a multiple of four bytes long */
    fill(buffer) {
      for (let at = 0; at < buffer.length; at += 4) buffer.writeUInt32LE(uint32(), at);
    },
  };
}
