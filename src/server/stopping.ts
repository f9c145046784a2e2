/** Aborted by SIGTERM, as service managers send it, or by what aborts `interruption`. */
export function stopSignal(interruption: AbortSignal): AbortSignal {
  const terminated = new AbortController();
  // It stays: told a second time, a server that is stopping goes on stopping.
  process.on('SIGTERM', () => terminated.abort());
  return AbortSignal.any([interruption, terminated.signal]);
}

/** Resolves once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
