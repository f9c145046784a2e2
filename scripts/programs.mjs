// @ts-check
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where distributions put servers, which a user's PATH often lacks. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/libexec', '/opt/homebrew/bin'];

/**
 * The path of the first program of one of these names, or null where none is installed.
 *
 * @param {string[]} names
 */
export function findProgram(...names) {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean), ...SERVER_FOLDERS];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable) ?? null;
}

/**
 * The path of a program that has to be there, under one of these names.
 *
 * @param {string[]} names
 */
export function requireProgram(...names) {
  const path = findProgram(...names);
  if (path === null) {
    throw new Error(
      `${names.join(' or ')} is not installed, neither on the PATH nor in ${SERVER_FOLDERS.join(', ')}.`,
    );
  }
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

export const CHROMIUM_NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of Chromium, for the tests of pages. */
export function findChromium() {
  return requireProgram(...CHROMIUM_NAMES);
}

/** As root, Chromium has no sandbox. The others keep it from using the network on its own. */
export const CHROMIUM_ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
