import { CENTURY_SECONDS } from '../domain/shared/duration.js';
import type { RequestPolicyInput } from '../domain/verification/request-policy.js';
import type { HostPort } from './addresses/host-port.js';
import type { ClientInput, ClientSetting } from './serve-clients.js';
import type { ClaimHeaders } from './serve-headers.js';
import type { Policies } from './serve-policies.js';

/** Plain data, so that listing settings and flags loads no schema library. */
export type Kind =
  /** Not empty. Line breaks are allowed. */
  | { readonly type: 'text' }
  | {
      readonly type: 'pattern';
      readonly pattern: RegExp;
      readonly expected: string;
      /** What the text must meet in addition. */
      readonly isMeant?: (text: string) => boolean;
    }
  /** Read as whole seconds. */
  | { readonly type: 'duration'; readonly maxSeconds: number }
  /** A date, read as the end of that day in UTC, or a NumericDate. In whole seconds. */
  | { readonly type: 'date' }
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  | { readonly type: 'boolean' }
  | { readonly type: 'oneOf'; readonly values: readonly string[] }
  /** Read as an absolute path. */
  | { readonly type: 'path' }
  | { readonly type: 'nodes' }
  | { readonly type: 'natMap' }
  /** Columns of the user table, by claim. */
  | { readonly type: 'claimColumns'; readonly column: RegExp }
  | { readonly type: 'mysqlUrl' }
  /** Texts of this form, in text separated by commas. */
  | { readonly type: 'list'; readonly item: RegExp; readonly expected: string }
  /** Applications that may use the HTTP API. */
  | { readonly type: 'clients' }
  /** Headers of `/verify`, and their claims. */
  | { readonly type: 'headers' }
  /** What `/verify` may demand of a token. */
  | { readonly type: 'policies' };

export type ValueOf<K extends Kind> = K extends { type: 'duration' | 'integer' | 'date' }
  ? number
  : K extends { type: 'boolean' }
    ? boolean
    : K extends { type: 'oneOf'; values: readonly (infer Value)[] }
      ? Value
      : K extends { type: 'nodes' }
        ? readonly HostPort[]
        : K extends { type: 'natMap' }
          ? Readonly<Record<string, HostPort>>
          : K extends { type: 'list' }
            ? readonly string[]
            : K extends { type: 'claimColumns' }
              ? Readonly<Record<string, string>>
              : K extends { type: 'clients' }
                ? readonly ClientSetting[]
                : K extends { type: 'headers' }
                  ? ClaimHeaders
                  : K extends { type: 'policies' }
                    ? Policies
                    : string;

export type InputOf<K extends Kind> = K extends { type: 'duration' | 'date' }
  ? number | string
  : K extends { type: 'nodes' | 'list' }
    ? string | readonly string[]
    : K extends { type: 'natMap' | 'claimColumns' }
      ? string | Readonly<Record<string, string>>
      : K extends { type: 'clients' }
        ? string | readonly ClientInput[]
        : K extends { type: 'headers' }
          ? string | ClaimHeaders
          : K extends { type: 'policies' }
            ? string | Readonly<Record<string, RequestPolicyInput>>
            : ValueOf<K>;

/** The longest duration. The limit keeps sums of times exact integers. */

export const text = { type: 'text' } as const;
export const boolean = { type: 'boolean' } as const;
export const date = { type: 'date' } as const;
export const path = { type: 'path' } as const;
export const nodes = { type: 'nodes' } as const;
export const natMap = { type: 'natMap' } as const;
export const mysqlUrl = { type: 'mysqlUrl' } as const;
export const clients = { type: 'clients' } as const;
export const headers = { type: 'headers' } as const;
export const policies = { type: 'policies' } as const;

export function duration(maxSeconds = CENTURY_SECONDS) {
  return { type: 'duration', maxSeconds } as const;
}

export function integer(min: number, max: number) {
  return { type: 'integer', min, max } as const;
}

export function oneOf<const Values extends readonly string[]>(...values: Values) {
  return { type: 'oneOf', values } as const;
}

export function claimColumns(column: RegExp) {
  return { type: 'claimColumns', column } as const;
}

export function pattern(form: RegExp, expected: string) {
  return { type: 'pattern', pattern: form, expected } as const;
}

export function list(item: RegExp, expected: string) {
  return { type: 'list', item, expected } as const;
}
