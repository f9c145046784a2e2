import type { Declaration, SettingClass } from './declarations/declaration.js';
import { HOOKS_SETTINGS } from './declarations/hooks.js';
import { SERVE_SETTINGS } from './declarations/serve.js';
import { STORE_SETTINGS } from './declarations/stores.js';
import { TOKEN_SETTINGS } from './declarations/tokens.js';
import type { Nest, NestOptional } from './nested-settings.js';
import type { InputOf, Kind, ValueOf } from './setting-kinds.js';

/** Every setting, once. Variables, flags, and types derive from this. */
const DECLARATIONS = { ...STORE_SETTINGS, ...TOKEN_SETTINGS, ...SERVE_SETTINGS, ...HOOKS_SETTINGS };

type Declarations = typeof DECLARATIONS;

export type SettingPath = keyof Declarations;

/** Durations are whole seconds, and paths are absolute. Null: not set, without a default. */
export type Settings = Nest<{
  readonly [Path in SettingPath]: Declarations[Path] extends { fallback: string }
    ? ValueOf<Declarations[Path]['kind']>
    : ValueOf<Declarations[Path]['kind']> | null;
}>;

export type SettingsInput = NestOptional<{
  readonly [Path in SettingPath]: InputOf<Declarations[Path]['kind']>;
}>;

export interface Setting {
  readonly path: SettingPath;
  readonly kind: Kind;
  readonly fallback: string | null;
  readonly class: SettingClass;
  readonly masked: boolean;
  readonly variable: string;
  readonly flag: string | null;
  readonly alternative: string | null;
  readonly inProjectFile: boolean;
  readonly restricts: boolean;
  readonly doc: string;
}

export const SETTINGS: readonly Setting[] = Object.entries<Declaration>(DECLARATIONS).map(
  ([name, declared]) => ({
    path: name as SettingPath,
    kind: declared.kind,
    fallback: declared.fallback ?? null,
    class: declared.class ?? 'plain',
    masked: declared.masked === true || declared.class === 'secret',
    variable: declared.variable ?? `JWTCTL_${words(name).join('_').toUpperCase()}`,
    flag: (declared.class ?? 'plain') === 'plain' ? `--${words(name).join('-')}` : null,
    alternative: declared.alternative ?? null,
    inProjectFile: declared.inProjectFile === true,
    restricts: declared.restricts === true,
    doc: declared.doc,
  }),
);

const BY_PATH = new Map<string, Setting>(SETTINGS.map((setting) => [setting.path, setting]));

export function settingOf(name: SettingPath): Setting;
export function settingOf(name: string): Setting | undefined;
export function settingOf(name: string): Setting | undefined {
  return BY_PATH.get(name);
}

/** Splits `token.maxTtl` into `token`, `max`, `ttl`. */
function words(name: string): string[] {
  return name.replace(/[A-Z]/g, '.$&').toLowerCase().split('.');
}
