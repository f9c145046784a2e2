import type { JwtctlError } from '../../domain/shared/errors.js';

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

/** How a value of some meaning is shown to a person. */
export type Tone = 'good' | 'warn' | 'bad' | 'faint';
export type Text = string | { text: string; tone: Tone };
export type Cell =
  | Text
  /** A length to compare with the others of its column, 0 to 1, drawn in whatever width is left. */
  | { bar: number };

/**
 * A table with only plain-text columns is drawn at its full width; any other table is fitted to the terminal. If the terminal
 * is too narrow, columns with `isMinor` are left out before the others.
 */
export type Column = string | { name: string; align?: 'right'; mayShorten?: boolean; isMinor?: boolean };

/**
 * What a command has to show, in every form that can be asked for. A view is built field by field from an allow-list:
 * what is not named in it is not shown.
 */
export type View =
  /** One thing: its fields below each other. */
  | { shape: 'record'; data: JsonObject; id: Ids; fields: ReadonlyArray<readonly [string, Cell]> }
  /** Many of a kind, as they come. */
  | {
      shape: 'list';
      items: AsyncIterable<ListItem> | Iterable<ListItem>;
      columns: readonly Column[];
      /** Said instead of an empty table. */
      empty: string;
    }
  /** As many of a kind as no table holds, as they come: an object a line for eyes too. */
  | { shape: 'stream'; portions: AsyncIterable<readonly StreamItem[]> }
  /** Several tables on one subject; one document in JSON. */
  | { shape: 'report'; data: JsonObject; id: Ids; sections: readonly Section[] }
  /** A report that is drawn anew in the same place; each on a line of its own in NDJSON. */
  | { shape: 'live'; frames: AsyncIterable<{ data: JsonObject; sections: readonly Section[] }> }
  /** Text as it is, for a file or a pipe; `data` in JSON. */
  | { shape: 'text'; text: string; data: Json };

/** What `--quiet` prints, one a line; none is no line at all. */
export type Ids = string | readonly string[];

export interface ListItem {
  data: JsonObject;
  /** The one id that `--quiet` prints. */
  id: string;
  row: readonly Cell[];
}

export interface StreamItem {
  data: JsonObject;
  /** What `--quiet` prints. */
  id: string;
}

/** A table under its title. Without columns it is the title alone; without rows it is left out, unless it is the first. */
export interface Section {
  title: Text;
  /** Said below the title. */
  lines?: readonly Text[];
  columns: readonly Column[];
  rows: ReadonlyArray<readonly Cell[]>;
}

/** What an action came to: what to show, and the exit code where it is not 0. */
export interface Outcome extends Completion {
  view?: View;
  /** Asked once the view is written, of what is done while it is: how it ended. It may throw like the action itself. */
  completion?: () => Promise<Completion>;
}

export interface Completion {
  exitCode?: number;
  /** Said on stderr beside the view, but not with `--quiet`: what else came of it, what to do next. */
  notes?: readonly string[];
  /** Said on stderr whatever the output is for: what was not done or not seen. */
  warnings?: readonly string[];
  /** An interruption is how it is meant to end: the exit code stands. */
  endsByInterruption?: true;
  /** What kept it from being finished, told like an error that is thrown, but after all that was done. */
  error?: JwtctlError;
}
