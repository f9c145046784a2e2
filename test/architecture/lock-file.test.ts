import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface LockedPackage {
  integrity?: string;
  [field: string]: unknown;
}

const { packages } = JSON.parse(
  readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8'),
) as { packages: Record<string, LockedPackage> };
const locked = Object.entries(packages).filter(([path]) => path !== '');

test('every package in the lock file has a SHA-512 digest', () => {
  expect(locked.length).toBeGreaterThan(100);

  const withoutDigest = locked.filter(
    ([, { integrity = '' }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity),
  );

  expect(withoutDigest.map(([path]) => path)).toEqual([]);
});

test('the lock file names no package registry, so an installation uses the configured one', () => {
  // Only `funding` and `deprecated` are for people. An installation uses every other field.
  const withAddress = locked.filter(([, { funding, deprecated, ...fields }]) =>
    JSON.stringify(fields).includes('://'),
  );

  expect(withAddress.map(([path]) => path)).toEqual([]);
});
