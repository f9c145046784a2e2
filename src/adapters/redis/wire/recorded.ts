import { performance } from 'node:perf_hooks';
import type { RecordCall } from '../../../domain/ports/index.js';

/** Records the call when it has ended. */
export function recorded<T>(answer: Promise<T>, operation: string, record: RecordCall): Promise<T> {
  const startedAt = performance.now();
  const end = (error?: unknown) =>
    record({
      ...{ system: 'redis', operation: operation.toUpperCase(), error },
      durationMs: performance.now() - startedAt,
    });
  return answer.then(
    (value) => {
      end();
      return value;
    },
    (error) => {
      end(error);
      throw error;
    },
  );
}
