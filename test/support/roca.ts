import { checkPrimeSync, randomInt } from 'node:crypto';

/**
 * Returns a 1024-bit prime like those of the faulty generator of CVE-2017-15361: k·M + (65537^a mod M), M the product of the first
 * 126 primes.
 */
export function rocaPrime(): bigint {
  let product = 1n;
  for (let candidate = 2, found = 0; found < 126; candidate++) {
    if (!checkPrimeSync(BigInt(candidate))) continue;
    product *= BigInt(candidate);
    found += 1;
  }
  const residue = powerOf(65_537n, BigInt(randomInt(2 ** 40)), product);
  const least = 3n * 2n ** 1022n;
  for (let k = least / product + BigInt(randomInt(2 ** 40)); ; k++) {
    const candidate = k * product + residue;
    if (checkPrimeSync(candidate)) return candidate;
  }
}

function powerOf(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}
