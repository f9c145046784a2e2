import { append, el } from './dom.js';

/** A mark of a chart, and what is shown about it. */
export interface Mark {
  element: SVGElement;
  lines: readonly string[];
}

/**
 * Shows the lines of a mark on hover. A chart is one stop of the Tab key, and the arrow keys go from mark to mark.
 *
 * @param frame the positioned element around the chart
 */
export function explainMarks(frame: HTMLElement, marks: readonly Mark[]): void {
  const tip = el('div', { class: 'tip', role: 'presentation', hidden: '' });
  frame.append(tip);
  const show = ({ element, lines }: Mark) => {
    tip.replaceChildren();
    append(
      tip,
      lines.map((line) => el('div', {}, line)),
    );
    tip.hidden = false;
    const [outer, inner] = [frame.getBoundingClientRect(), element.getBoundingClientRect()];
    const left = inner.left + inner.width / 2 - outer.left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(left, outer.width - tip.offsetWidth))}px`;
    tip.style.top = `${inner.top - outer.top - tip.offsetHeight - 6}px`;
  };
  const hide = () => {
    tip.hidden = true;
  };
  for (const [index, mark] of marks.entries()) {
    const { element, lines } = mark;
    element.setAttribute('role', 'img');
    element.setAttribute('aria-label', lines.join(', '));
    element.setAttribute('tabindex', index === 0 ? '0' : '-1');
    element.addEventListener('pointerenter', () => show(mark));
    element.addEventListener('pointerleave', hide);
    element.addEventListener('focus', () => show(mark));
    element.addEventListener('blur', hide);
    element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') hide();
      const next = target(event.key, index, marks.length);
      if (next === null) return;
      event.preventDefault();
      for (const one of marks) one.element.setAttribute('tabindex', '-1');
      marks[next]?.element.setAttribute('tabindex', '0');
      marks[next]?.element.focus();
    });
  }
}

function target(key: string, index: number, count: number): number | null {
  if (key === 'ArrowRight' || key === 'ArrowDown') return Math.min(index + 1, count - 1);
  if (key === 'ArrowLeft' || key === 'ArrowUp') return Math.max(index - 1, 0);
  if (key === 'Home') return 0;
  return key === 'End' ? count - 1 : null;
}
