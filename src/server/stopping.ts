export function stopSignal(interruption: AbortSignal): AbortSignal {
  const terminated = new AbortController();
  // The listener stays, so that a second SIGTERM does not kill a stopping server.
  process.on('SIGTERM', () => terminated.abort());
  return AbortSignal.any([interruption, terminated.signal]);
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
