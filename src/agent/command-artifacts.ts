/** Artifacts that a command left in files. What it names is not trusted: names, links and sizes may be hostile. */
import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { ProtocolError, quote } from './outcome.js';

/**
 * Content of the regular file at `path`: relative to the first of `roots` in which it is, or absolute; in every case, with all
 * links followed, inside one of them. Throws {@link ProtocolError}, also where it is larger than `maxBytes`.
 */
export async function readArtifactFile(
  path: string,
  roots: readonly string[],
  maxBytes: number,
): Promise<Uint8Array> {
  const place = quote(path);
  if (path === '' || path.includes('\0')) throw new ProtocolError(`returned the artifact path ${place}`);
  const realRoots = await Promise.all(roots.map((root) => realpath(root).catch(() => null)));
  const inside = (real: string) => realRoots.some((root) => root !== null && isInside(root, real));
  const real = await locate(path, roots);
  if (real === null) throw new ProtocolError(`returned the artifact path ${place}, where no file is`);
  if (!inside(real)) {
    throw new ProtocolError(
      `returned the artifact path ${place}, which lies outside of its working directories`,
    );
  }
  // looked at before it is opened, because opening a device can have effects, and again after
  const before = await stat(real).catch(() => null);
  if (!before?.isFile())
    throw new ProtocolError(`returned the artifact path ${place}, which is no regular file`);
  const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => null,
  );
  if (handle === null) throw new ProtocolError(`returned the artifact path ${place}, which can't be opened`);
  try {
    const opened = await openedPath(handle, real);
    const after = await handle.stat();
    if (!after.isFile() || after.ino !== before.ino || after.dev !== before.dev || !inside(opened)) {
      throw new ProtocolError(`returned the artifact path ${place}, which changed while it was read`);
    }
    return await readBounded(handle, after.size, maxBytes, place);
  } finally {
    await handle.close();
  }
}

async function locate(path: string, roots: readonly string[]): Promise<string | null> {
  for (const root of roots) {
    const real = await realpath(resolve(root, path)).catch(() => null);
    if (real !== null) return real;
  }
  return null;
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Where the file that was opened really lies, as far as the system can tell. */
async function openedPath(handle: FileHandle, path: string): Promise<string> {
  if (process.platform !== 'linux') return path;
  return readlink(`/proc/self/fd/${handle.fd}`).catch(() => path);
}

async function readBounded(
  handle: FileHandle,
  size: number,
  maxBytes: number,
  place: string,
): Promise<Uint8Array> {
  const tooLarge = () =>
    new ProtocolError(
      `returned the artifact path ${place}, which is larger than the ${maxBytes} bytes allowed`,
    );
  if (size > maxBytes) throw tooLarge();
  // one byte more, to notice a file that grows
  const buffer = Buffer.alloc(size + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
    length += bytesRead;
    if (bytesRead === 0) return new Uint8Array(buffer.subarray(0, length));
    if (length > size)
      throw new ProtocolError(`returned the artifact path ${place}, which changed while it was read`);
  }
}
