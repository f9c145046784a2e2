import { printable } from '../../domain/shared/text.js';

export type Child = Node | string | null;

/**
 * Creates an element. Texts and attributes may come from tokens: they are never parsed as HTML, and characters that
 * are invisible or reverse text are escaped.
 */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes))
    element.setAttribute(attribute, printable(value));
  append(element, children);
  return element;
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null) continue;
    parent.append(typeof child === 'string' ? printable(child) : child);
  }
}

/** Text from a token, a user, or another program. */
export function foreign(text: string): HTMLElement {
  return el('bdi', { class: 'code' }, text);
}

/** A column by its name. A column of numbers is aligned to the right. */
export type Column = string | { number: string };

/** A table. The first cell of each row is the heading of that row. */
export function table(columns: readonly Column[], rows: ReadonlyArray<readonly Child[]>): HTMLElement {
  const classOf = (column: Column | undefined): Record<string, string> =>
    typeof column === 'object' ? { class: 'number' } : {};
  const nameOf = (column: Column) => (typeof column === 'string' ? column : column.number);
  const heads = columns.map((column) => el('th', { scope: 'col', ...classOf(column) }, nameOf(column)));
  const bodies = rows.map(([first = '', ...others]) => {
    const cells = others.map((cell, index) => el('td', classOf(columns[index + 1]), cell));
    return el('tr', {}, el('th', { scope: 'row' }, first), ...cells);
  });
  return el('table', {}, el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}, ...bodies));
}

/** @param id names the heading, for links and for screen readers */
export function section(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  return el(
    'section',
    { id, class: 'card', 'aria-labelledby': `${id}-title` },
    el('h2', { id: `${id}-title` }, title),
    ...children,
  );
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`There is no element ${id}.`);
  return element;
}
