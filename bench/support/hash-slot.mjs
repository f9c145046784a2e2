// @ts-check

/**
 * The hash slot of an ASCII key, as the specification of Redis Cluster has it: CRC16 (XMODEM) of what is between the
 * first `{` and the next `}`, or of the whole key.
 *
 * @param {string} key
 */
export function hashSlot(key) {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  const [first, end] = close > open + 1 ? [open + 1, close] : [0, key.length];
  let crc = 0;
  for (let index = first; index < end; index++) {
    crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ key.charCodeAt(index)] ?? 0);
  }
  return crc % 16_384;
}

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});
