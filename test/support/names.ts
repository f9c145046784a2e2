import dns from 'node:dns';
import { vi } from 'vitest';

/** Resolves every name with this ending to one address, because tests have no name server. */
export function resolveNames(end: string, address: string): () => void {
  const lookup = dns.lookup as unknown as (...words: unknown[]) => void;
  const spy = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((host: string, ...words: unknown[]) =>
      lookup(host.endsWith(end) ? address : host, ...words)) as never);
  return () => spy.mockRestore();
}
