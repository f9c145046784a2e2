/** The odd prime factors of the faulty generator's smallest parameter. */
const PRIMES = [
  ...[3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103],
  ...[107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167],
];
const GENERATOR = 65_537;

/**
 * Returns whether the faulty generator of CVE-2017-15361 made this modulus: then its primes can be computed.
 * The generator's primes are k·M + (65537^a mod M), where M is a product of the first primes. So the modulus
 * is a power of 65537 modulo M: the discrete logarithms modulo each prime factor of M exist and agree. By
 * chance, this is true for one modulus in 2^154.
 */
export function hasRocaFingerprint(modulus: bigint): boolean {
  // The exponent found so far, modulo `order`.
  let [exponent, order] = [0n, 1n];
  for (const prime of PRIMES) {
    const powers = powersOfGenerator(prime);
    const log = powers.indexOf(Number(modulus % BigInt(prime)));
    if (log === -1) return false;
    const period = BigInt(powers.length);
    const common = greatestCommonDivisor(order, period);
    if ((BigInt(log) - exponent) % common !== 0n) return false;
    while (exponent % period !== BigInt(log)) exponent += order;
    order = (order / common) * period;
  }
  return true;
}

function powersOfGenerator(prime: number): number[] {
  const powers = [1];
  for (let power = GENERATOR % prime; power !== 1; power = (power * GENERATOR) % prime) powers.push(power);
  return powers;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}
