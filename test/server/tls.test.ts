import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Settings } from '../../src/config/settings.js';
import { followTls } from '../../src/server/tls.js';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('an unexpected error while the files are read leaves the old certificate in use', async () => {
  // No error of a file: Node or OpenSSL may throw any.
  const settings = {
    get serve(): Settings['serve'] {
      throw new TypeError('unexpected');
    },
  } as Settings;
  const stop = new AbortController();
  const [apply, warn] = [vi.fn(), vi.fn()];
  followTls(settings, { tls: { cert: '', key: '' }, apply, warn, stop: stop.signal });
  await vi.advanceTimersByTimeAsync(11_000);
  stop.abort();
  expect(warn.mock.calls).toEqual([['The old TLS certificate stays in use. unexpected']]);
  expect(apply).not.toHaveBeenCalled();
});
