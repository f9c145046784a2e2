import { type Kind, pattern } from '../setting-kinds.js';

/**
 * - `plain`: allowed in every source
 * - `secret`: masked in all output, and has no flag
 * - `command`: runs as the account that runs jwtctl, so it has no flag either
 * - `structure`: a list or a map of objects, which would be unreadable as a flag
 */
export type SettingClass = 'plain' | 'secret' | 'command' | 'structure';

export interface Declaration {
  readonly kind: Kind;
  /** The default, written as in a file. Without one, the setting is null until it is set. */
  readonly fallback?: string;
  readonly class?: SettingClass;
  /** Masked in all output although its class is not `secret`, because a command line may contain secrets. */
  readonly masked?: true;
  /** Set if it differs from the path in upper case. */
  readonly variable?: string;
  readonly inProjectFile?: true;
  /** Without the setting, jwtctl allows more. So `null` in a file or an empty variable is an error instead of counting as not set. */
  readonly restricts?: true;
  /** The value that several settings set. The one from the strongest source is used. */
  readonly alternative?: string;
  readonly doc: string;
}

export const LINE = pattern(/^[^\p{Cc}]{1,1024}$/u, 'one line of text, not empty');

export const PUBLIC_URL = {
  ...pattern(
    /^(?:https:\/\/|http:\/\/(?=(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)))[\w.[\]-]+(?::\d{1,5})?(?:\/[^\s?#]*)?$/,
    'a URL such as https://auth.example.com, without a query; http only for localhost',
  ),
  // Such as the port 99999.
  isMeant: (text: string) => URL.canParse(text),
} as const;
