import { JwtctlError } from '../../domain/shared/errors.js';
import { SETTINGS, type SettingPath } from '../settings.js';
import type { ConfigFile } from './find-config-files.js';
import { type Origin, originText } from './setting-origin.js';

type Origins = Readonly<Record<SettingPath, Origin>>;

const STORES: ReadonlyArray<{ group: string; addresses: readonly SettingPath[] }> = [
  { group: 'mysql.', addresses: ['mysql.url'] },
  { group: 'redis.', addresses: ['redis.nodes', 'redis.mode'] },
];

/** Settings that reveal no secret to the server. */
const HARMLESS: ReadonlySet<SettingPath> = new Set([
  'mysql.tablePrefix',
  'mysql.tls.enabled',
  'mysql.tls.ca',
  'redis.tls.enabled',
  'redis.tls.ca',
  'redis.sentinelMaster',
  'redis.username',
  'redis.natMap',
]);

/** Reports secrets for a store that a project file sets. Anyone may have written that file. */
export function secretsForProjectStores(origins: Origins, files: readonly ConfigFile[]): JwtctlError[] {
  return STORES.flatMap(({ group, addresses }) => {
    const address = addresses.find((path) => isFromProjectFile(origins[path], files));
    const secret = SETTINGS.find(
      ({ path, inProjectFile }) =>
        path.startsWith(group) && !inProjectFile && !HARMLESS.has(path) && origins[path].source !== 'default',
    );
    if (address === undefined || secret === undefined) return [];
    return [secretForProjectStore(address, secret.path, origins)];
  });
}

export function projectStoreNotice(origins: Origins, files: readonly ConfigFile[]): string | null {
  // Another prefix shows another registry, without verifiers.
  const settings = [...STORES.flatMap(({ addresses }) => addresses), 'redis.prefix'] as const;
  const set = settings.filter((setting) => isFromProjectFile(origins[setting], files));
  const [first] = set;
  return first === undefined ? null : `The project file ${origins[first].name} sets ${set.join(' and ')}.`;
}

function isFromProjectFile({ source, name }: Origin, files: readonly ConfigFile[]): boolean {
  return source === 'file' && files.some(({ kind, path }) => kind === 'project' && path === name);
}

function secretForProjectStore(address: SettingPath, secret: SettingPath, origins: Origins): JwtctlError {
  const file = origins[address].name;
  return new JwtctlError(
    'ERR_CONFIG_SECRET_FOR_PROJECT_ADDRESS',
    `${address} comes from the project file ${originText(origins[address])}, but ${secret} comes from ${originText(origins[secret])}. jwtctl does not send secrets to an address that a project file sets.`,
    {
      hint: `Set ${address} in the same place as ${secret}. If you trust the project file, pass --config ${file}; jwtctl then reads no other file.`,
      details: { settings: [address, secret], file },
    },
  );
}
