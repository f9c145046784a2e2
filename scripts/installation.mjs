// @ts-check
/** Whether what the tests need is installed, and installing it where that can be done without asking. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHROMIUM_NAMES, findProgram } from './programs.mjs';

/**
 * Whether `npm ci` has to run: `node_modules` is missing, or holds other packages than package-lock.json asks for.
 *
 * @param {string} root of the project
 */
export function arePackagesOutdated(root) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  const installed = lockedPackages(join(root, 'node_modules/.package-lock.json'));
  const isInstalled = (/** @type {string} */ path) => installed[path]?.integrity === wanted[path]?.integrity;
  return (
    Object.keys(installed).some((path) => !isInstalled(path)) ||
    // What is optional may be for another platform.
    Object.keys(wanted).some((path) => path !== '' && !wanted[path]?.optional && !isInstalled(path))
  );
}

/**
 * @param {string} file
 * @returns {Record<string, { integrity?: string, optional?: boolean }>}
 */
function lockedPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

/**
 * Installs the servers, nginx, PHP, Chromium, promtool, zsh, fish, systemd, and the Python packages on Debian and Ubuntu as
 * root.
 *
 * @throws if something is missing that it cannot install; the message says what to do
 */
export function provideTestPrograms() {
  if (missingPrograms().length > 0 && canInstall()) installOnDebian();
  const missing = missingPrograms();
  if (missing.length > 0) {
    throw new Error(
      [
        `The tests need ${missing.join(', ')}.`,
        'Install MariaDB 10.11 or newer or MySQL 8.0 or newer, Redis 7.0 or newer, OpenSSL, nginx, Chromium,',
        'promtool (of Prometheus), zsh, fish, PHP 8.2 or newer with curl, systemd-analyze (on Linux only), and for python3 the',
        'packages PyJWT, cryptography, flask, and requests.',
        'Instead of the two servers, JWTCTL_TEST_MYSQL_URL (an account that may create databases) and',
        'JWTCTL_TEST_REDIS_NODES (host:port,… of a Redis Cluster) can both point at some that run already.',
      ].join('\n'),
    );
  }
}

/** A Python that can import what the tests use, or null. PyJWT needs cryptography for RSA. */
export function findTestPython() {
  // The system's own first: it is the one that a system package serves.
  const candidates = ['/usr/bin/python3', findProgram('python3')].filter((path) => path !== null);
  const hasPackages = (/** @type {string} */ path) =>
    spawnSync(path, ['-c', 'import jwt, cryptography, flask, requests']).status === 0;
  return candidates.find(hasPackages) ?? null;
}

function missingPrograms() {
  const hasServers = process.env.JWTCTL_TEST_MYSQL_URL && process.env.JWTCTL_TEST_REDIS_NODES;
  const programs = [
    ...(findProgram('mysqld') === null ? ['mariadbd', 'mariadb-install-db'] : []),
    ...['redis-server', 'redis-cli', 'openssl'],
  ];
  return [
    ...(hasServers ? [] : programs.filter((program) => findProgram(program) === null)),
    ...['nginx', 'promtool', 'zsh', 'fish'].filter((program) => findProgram(program) === null),
    ...(process.platform === 'linux' && findProgram('systemd-analyze') === null ? ['systemd-analyze'] : []),
    ...(findProgram(...CHROMIUM_NAMES) === null ? ['Chromium'] : []),
    ...(findTestPython() === null ? ['PyJWT', 'flask', 'requests'] : []),
    ...(hasPhpWithCurl() ? [] : ['PHP 8.2 with curl']),
  ];
}

function hasPhpWithCurl() {
  const php = findProgram('php');
  const check = 'exit(PHP_VERSION_ID >= 80200 && extension_loaded("curl") ? 0 : 1);';
  return php !== null && spawnSync(php, ['-r', check]).status === 0;
}

function canInstall() {
  const isDebian =
    existsSync('/etc/os-release') &&
    /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
  return isDebian && process.getuid?.() === 0 && findProgram('apt-get') !== null;
}

function installOnDebian() {
  const packages = [
    ...['mariadb-server', 'redis-server', 'nginx-light', 'openssl', 'chromium', 'prometheus'],
    ...['zsh', 'fish', 'systemd'],
    ...['python3-jwt', 'python3-cryptography', 'python3-flask', 'python3-requests', 'php-cli', 'php-curl'],
  ];
  // Keeps the packages from starting servers of their own (the interface of invoke-rc.d: 101 forbids the action).
  const policy = '/usr/sbin/policy-rc.d';
  const isOurs = !existsSync(policy);
  if (isOurs) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    aptGet('update');
    aptGet('install', '-y', '--no-install-recommends', ...packages);
  } finally {
    if (isOurs) rmSync(policy, { force: true });
  }
}

/** @param {string[]} args */
function aptGet(...args) {
  execFileSync('apt-get', ['-qq', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}
