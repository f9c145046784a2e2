import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { JwtctlError } from '../../domain/shared/errors.js';
import { openFault } from '../../domain/shared/open-fault.js';
import { fileNameShown } from '../../domain/shared/text.js';

export interface InputSource {
  /** The name for messages. */
  readonly name: string;
  /** Yields bytes until the end, or until the source is closed or the run is interrupted. */
  chunks(): AsyncIterable<Buffer>;
  /** Returns the fraction already read, from 0 to 1; null if the length is unknown. */
  fractionRead(): number | null;
  close(): void;
}

/**
 * @param name `-` for standard input, otherwise a file name, with or without `@`
 * @throws JwtctlError `ERR_FILE_UNREADABLE` (usage), on opening and on reading
 */
export async function openSource(
  name: string,
  { stdin, cwd, signal }: { stdin: Readable; cwd: string; signal: AbortSignal },
): Promise<InputSource> {
  if (name === '-') return sourceOf('standard input', stdin, null, signal);
  const path = name.replace(/^@/, '');
  const handle = await open(resolve(cwd, path)).catch((error) => {
    throw unreadable(path, error);
  });
  const size = await sizeOf(handle).catch(async (error) => {
    await handle.close();
    throw unreadable(path, error);
  });
  return sourceOf(path, handle.createReadStream(), size, signal);
}

function sourceOf(name: string, stream: Readable, size: number | null, signal: AbortSignal): InputSource {
  let isClosed = false;
  let bytesRead = 0;
  addAbortSignal(signal, stream);
  // The reading loop reports errors. Without a listener, one before the first read would end the process.
  stream.on('error', () => {});
  return {
    name: fileNameShown(name),
    fractionRead: () => (size === null || size === 0 ? null : Math.min(1, bytesRead / size)),
    close: () => {
      isClosed = true;
      stream.destroy();
    },
    chunks: async function* () {
      try {
        for await (const chunk of stream) {
          const bytes = Buffer.from(chunk);
          bytesRead += bytes.length;
          yield bytes;
        }
      } catch (error) {
        if (!isClosed && !signal.aborted) throw unreadable(name, error as NodeJS.ErrnoException);
      }
    },
  };
}

/** Returns null for a pipe or a device. */
async function sizeOf(handle: FileHandle): Promise<number | null> {
  const stats = await handle.stat();
  if (stats.isDirectory()) throw Object.assign(new Error('is a folder'), { code: 'EISDIR' });
  return stats.isFile() ? stats.size : null;
}

function unreadable(name: string, error: NodeJS.ErrnoException): JwtctlError {
  return new JwtctlError(
    'ERR_FILE_UNREADABLE',
    `The file ${fileNameShown(name)} ${openFault(error.code ?? 'unknown error')}.`,
    { cause: error },
  );
}
