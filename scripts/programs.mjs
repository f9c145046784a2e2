// @ts-check
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where distributions put servers, which a user's PATH often lacks. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/opt/homebrew/bin'];

/**
 * The path of a program, or null where it is not installed.
 *
 * @param {string} name
 */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...SERVER_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/**
 * The path of a program that has to be there.
 *
 * @param {string} name
 */
export function requireProgram(name) {
  const path = findProgram(name);
  if (path === null)
    throw new Error(`${name} is not installed, neither on the PATH nor in ${SERVER_FOLDERS.join(', ')}.`);
  return path;
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
