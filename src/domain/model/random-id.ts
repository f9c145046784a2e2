import { randomBytes } from 'node:crypto';

/** Returns 128 random bits in base64url. Avoids a leading `-`, which a command line would parse as a flag. */
export function newRandomId(): string {
  for (;;) {
    const id = nextRandomBytes(16).toString('base64url');
    if (!/^[-_]/.test(id)) return id;
  }
}

let random = Buffer.alloc(0);

function nextRandomBytes(size: number): Buffer {
  if (random.length < size) random = randomBytes(4096);
  const bytes = random.subarray(0, size);
  random = random.subarray(size);
  return bytes;
}
