import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { JwtctlError } from '../../domain/shared/errors.js';
import { fileNameShown } from '../../domain/shared/text.js';

/** A file, or standard input, that is read piece by piece. */
export interface InputSource {
  /** As it is shown. */
  readonly name: string;
  /** Its bytes; they end where it does, and early once it is closed or the run is interrupted. */
  chunks(): AsyncIterable<Buffer>;
  /** How much of it has been read, from 0 to 1; null where nobody knows how long it is. */
  fractionRead(): number | null;
  close(): void;
}

/**
 * @param name `-` for standard input, else a file's name, with or without `@`
 * @throws JwtctlError `ERR_FILE_UNREADABLE` (usage), then and while it is read
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
  // Told by the loop that reads; without a listener it would end the process where nobody reads yet.
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

/** Null for what has no length: a pipe, a device. */
async function sizeOf(handle: FileHandle): Promise<number | null> {
  const stats = await handle.stat();
  if (stats.isDirectory()) throw Object.assign(new Error('It is a folder.'), { code: 'EISDIR' });
  return stats.isFile() ? stats.size : null;
}

function unreadable(name: string, error: NodeJS.ErrnoException): JwtctlError {
  return new JwtctlError(
    'ERR_FILE_UNREADABLE',
    `The file ${fileNameShown(name)} cannot be read (${error.code}).`,
    { cause: error },
  );
}
